"""Effects and latent interactions with linear priors on both sides' descriptors, exact for a new entity's probes.

    y(entity, item) = a_item + b_entity + phi_item . z_entity + noise

(b, z) of an entity and (a, phi) of an item are found in turns, each closed form given the other side and its own
prior; a new entity with a few probes is the same closed form once more.
"""

from dataclasses import dataclass

import numpy as np

from dnaml.predict.paired.grid import Answer, BoolArray, FloatArray, Grid, Task
from dnaml.predict.paired.prior import LARGEST_VARIANCE, LEAST_VARIANCE, PriorFit, VectorPrior
from dnaml.predict.paired.sources import Sources

ROUNDS, PRIOR_EVERY = 24, 4
STARTS = 3
START_SD, START_VARIANCE = 0.3, 0.25
SUSPECT = 2.5  # sds by which the other probes contradict one before its variance is inflated
SUSPECT_ROUNDS = 2


Fits = tuple[PriorFit, PriorFit]  # of entities and items


def fits_of(grid: Grid, use: BoolArray) -> Fits:
    """Return what fits priors for the entities marked in `use` [E] and for the items: once for models of any rank."""
    return PriorFit(grid.entities.x[use]), PriorFit(grid.items.x)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Vectors:
    """One side on its way. Shapes: mean, expected [M, K]; covariance [M, K, K]; variance [K] of the prior."""

    mean: FloatArray
    covariance: FloatArray
    expected: FloatArray
    variance: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Latent:
    """The fitted model of one rank. Shapes: item_mean, item_variance [I, K]; `noise` is that of a cell.

    The variance is the diagonal of the items' covariance: the rest changes no answer by more than a part in thirty.
    """

    item_mean: FloatArray
    item_variance: FloatArray
    item_prior: VectorPrior
    entity_prior: VectorPrior
    noise: float

    @classmethod
    def fit(cls, grid: Grid, use: BoolArray, rank: int, fits: Fits, *, seed: int = 0) -> "Latent | None":
        """Return the model of the entities marked in `use` [E]; None when the matrix is too small for the rank."""
        known = grid.known[use]
        if 2 * rank > min(int(use.sum()), int(known.any(axis=0).sum())):
            return None
        y = np.where(known, grid.y[use], 0.0)
        rng, offset = np.random.default_rng(seed), float(y.sum() / known.sum())
        entities, items = (_start(len(fit.x), rank, level, rng) for fit, level in zip(fits, (0.0, offset), strict=True))
        priors = [_flat(fit, side) for fit, side in zip(fits, (entities, items), strict=True)]
        noise = max(float((y - offset)[known].var()) / 4, LEAST_VARIANCE)
        for step in range(ROUNDS):
            if step and step % PRIOR_EVERY == 0:
                priors = [_refit(fit, side) for fit, side in zip(fits, (entities, items), strict=True)]
                entities, items = (_under(p, f, s) for p, f, s in zip(priors, fits, (entities, items), strict=True))
            entities = _solved(entities, items, y, known, noise)
            items = _solved(items, entities, y.T, known.T, noise)
            noise = _noise(entities, items, y, known)
        return cls(
            item_mean=items.mean,
            item_variance=np.diagonal(items.covariance, axis1=1, axis2=2).copy(),
            item_prior=priors[1],
            entity_prior=priors[0],
            noise=noise,
        )

    def answer(self, task: Task, sources: Sources) -> Answer:
        """Return mean and sd [Q] of ln seconds of the items asked about."""
        return Latents(parts=(self,)).answer(task, sources)

    def joint(self, task: Task, sources: Sources) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return mean [Q], covariance [Q, Q] without noise, and noise variance [Q] of the items asked about."""
        return Latents(parts=(self,)).joint(task, sources)

    def items(self, task: Task) -> tuple[FloatArray, FloatArray]:
        """Return the vectors of a task's items and their variances [K+Q, K]."""
        place = np.maximum(task.item, 0)
        u, variance = self.item_mean[place], self.item_variance[place]
        unknown = task.item < 0
        if unknown.any():
            u[unknown], variance[unknown] = self.item_prior(task.item_x[unknown]), self.item_prior.variance
        return u, variance


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Latents:
    """The mean of models of one rank that started from different random vectors."""

    parts: tuple[Latent, ...]

    @classmethod
    def fit(cls, grid: Grid, use: BoolArray, rank: int, fits: Fits, *, seed: int = 0) -> "Latents | None":
        """Return STARTS models of the entities marked in `use` [E]; None when the matrix is too small for the rank."""
        parts = [Latent.fit(grid, use, rank, fits, seed=seed + start) for start in range(STARTS)]
        fitted = tuple(part for part in parts if part is not None)
        return cls(parts=fitted) if fitted else None

    def answer(self, task: Task, sources: Sources) -> Answer:
        """Return the mean of the parts; their disagreement counts as variance."""
        found, u, unsure, basis = self._found(task)
        k = task.probes
        spread = ((basis[:, k:] @ found.covariance) * basis[:, k:]).sum(axis=2) + unsure[:, k:]
        means = u[:, k:, 0] + (basis[:, k:] @ found.mean[..., None])[..., 0]
        own = float(np.abs(found.left_out).mean()) if k > 1 else float("nan")
        return Answer(mean=means.mean(axis=0), sd=np.sqrt(spread.mean(axis=0) + means.var(axis=0)), own_error=own)

    def joint(self, task: Task, sources: Sources) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return mean [Q], covariance [Q, Q] without noise, and noise variance [Q]: the means over the parts."""
        found, u, unsure, basis = self._found(task)
        asked = basis[:, task.probes :]
        covariance = (asked @ found.covariance @ asked.transpose(0, 2, 1)).mean(axis=0)
        means = u[:, task.probes :, 0] + (asked @ found.mean[..., None])[..., 0]
        return means.mean(axis=0), covariance, unsure[:, task.probes :].mean(axis=0)

    def _found(self, task: Task) -> "tuple[Found, FloatArray, FloatArray, FloatArray]":
        """Return what the probes leave of each part's vector, the items' vectors [S, K+Q, K], what they and noise
        bring of variance [S, K+Q], and the items' loadings [S, K+Q, K].
        """
        prior = np.stack([part.entity_prior(task.entity_x[None])[0] for part in self.parts])
        u, variance = (np.stack(side) for side in zip(*(part.items(task) for part in self.parts), strict=True))
        squares = prior**2
        squares[:, 0] = 1.0
        noise = np.array([[part.noise] for part in self.parts])
        unsure = (variance @ squares[..., None])[..., 0] + noise
        basis, k = _with_one(u), task.probes
        wide = np.stack([part.entity_prior.variance for part in self.parts])
        return given_probes(prior, wide, basis[:, :k], task.y - u[:, :k, 0], unsure[:, :k]), u, unsure, basis


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """An entity's vector given P probes. Shapes: mean [..., K], covariance [..., K, K], left_out [..., P] errors."""

    mean: FloatArray
    covariance: FloatArray
    left_out: FloatArray


def given_probes(
    prior: FloatArray, prior_variance: FloatArray, basis: FloatArray, target: FloatArray, variance: FloatArray
) -> Found:
    """Return the posterior [..., K] of a vector given target [..., P] = basis [..., P, K] @ vector + noise.

    `variance` [..., P] is that of the noise. A probe that the others contradict by more than SUSPECT sds loses weight.
    """
    known, weight, left_out = 1.0 / prior_variance, 1.0 / variance, np.zeros((*target.shape[:-1], 0))
    place = np.arange(prior.shape[-1])
    turned = np.swapaxes(basis, -1, -2)
    for last in range(SUSPECT_ROUNDS, -1, -1):
        precision = turned @ (basis * weight[..., None])
        precision[..., place, place] += known
        covariance = _inverse(precision)
        pull = known * prior + (turned @ (weight * target)[..., None])[..., 0]
        mean = (covariance @ pull[..., None])[..., 0]
        if target.shape[-1] < 2:
            break
        leverage = ((basis @ covariance) * basis).sum(axis=-1)
        free = np.maximum(1.0 - leverage * weight, 0.02)
        left_out = (target - (basis @ mean[..., None])[..., 0]) / free
        if not last:
            break
        deviation = np.abs(left_out) / np.sqrt(variance + leverage / free)
        weight = np.where(deviation > SUSPECT, 0.5 * (SUSPECT / np.maximum(deviation, SUSPECT)) ** 2, 1.0) / variance
    return Found(mean=mean, covariance=covariance, left_out=left_out)


def _start(members: int, rank: int, level: float, rng: np.random.Generator) -> Vectors:
    mean = np.concatenate([np.full((members, 1), level), rng.normal(0.0, START_SD, (members, rank))], axis=1)
    return Vectors(
        mean=mean,
        covariance=np.zeros((members, rank + 1, rank + 1)),
        expected=np.zeros_like(mean),
        variance=np.r_[LARGEST_VARIANCE, np.full(rank, START_VARIANCE)],
    )


def _flat(fit: PriorFit, side: Vectors) -> VectorPrior:
    weights = np.zeros((fit.x.shape[1], side.mean.shape[1]))
    return VectorPrior(weights=weights, intercept=side.mean.mean(axis=0), variance=side.variance)


def _refit(fit: PriorFit, side: Vectors) -> VectorPrior:
    return fit(side.mean, np.diagonal(side.covariance, axis1=1, axis2=2).mean(axis=0))


def _under(prior: VectorPrior, fit: PriorFit, side: Vectors) -> Vectors:
    return Vectors(mean=side.mean, covariance=side.covariance, expected=prior(fit.x), variance=prior.variance)


def _solved(side: Vectors, other: Vectors, y: FloatArray, known: BoolArray, noise: float) -> Vectors:
    """Return the side with the exact posterior of its members given the other side: y [M, N], known [M, N]."""
    width = other.mean.shape[1]
    basis, one = _with_one(other.mean), _with_one(side.mean)
    unsure = _outer(one) @ other.covariance.reshape(len(other.mean), -1).T  # [M, N]
    weight = np.where(known, 1.0 / (noise + unsure), 0.0)
    precision = (weight @ _outer(basis)).reshape(-1, width, width) + np.diag(1.0 / side.variance)
    pull = (weight * np.where(known, y - other.mean[:, 0], 0.0)) @ basis + side.expected / side.variance
    covariance = _inverse(precision)
    mean = (covariance @ pull[..., None])[..., 0]
    return Vectors(mean=mean, covariance=covariance, expected=side.expected, variance=side.variance)


def _outer(vectors: FloatArray) -> FloatArray:
    """Return each vector's outer product with itself, flat: [N, K] in, [N, K * K] out."""
    products: FloatArray = (vectors[:, :, None] * vectors[:, None, :]).reshape(len(vectors), -1)
    return products


def _noise(entities: Vectors, items: Vectors, y: FloatArray, known: BoolArray) -> float:
    error = np.where(known, y - items.mean[:, 0] - entities.mean @ _with_one(items.mean).T, 0.0)
    count = int(known.sum())
    free = max(count - 0.5 * entities.mean.shape[1] * sum(y.shape), 0.25 * count)
    return float(max((error**2).sum() / free, LEAST_VARIANCE))


def _with_one(vectors: FloatArray) -> FloatArray:
    basis = vectors.copy()
    basis[..., 0] = 1.0
    return basis


def _inverse(matrix: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)
