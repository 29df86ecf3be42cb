"""Additive effects and latent interactions of resources and computations in ln seconds, with exact Gaussian updates.

    ln T(c, r) = a_c + b_r + phi_c . z_r + noise

Each side's vector, (a_c, phi_c) or (b_r, z_r), has a Gaussian prior whose mean is a ridge regression on the
descriptors of its entity; given the other side its posterior is closed form, so a few runs on something new update
only it. Rank 0 is per-machine scaling.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dnaml.predict.design import Design

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ROUNDS = 24
PRIOR_EVERY = 4  # rounds between two fits of the prior regressions
STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
LEAST_NOISE_SD, LEAST_PRIOR_SD = 0.02, 0.02
WIDEST_PRIOR_SD = 3.0
FEW, FEW_PRIOR_SD = 2.0, 1.0  # imaginary entities, and their sd, beside fewer than four real ones


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regression:
    """A ridge regression of entity vectors on descriptors. Shapes: weights [F, K], intercept [K], variance [K].

    `variance` is the error left out one entity at a time: how far an entity lies from what its descriptors say.
    """

    weights: FloatArray
    intercept: FloatArray
    variance: FloatArray

    def __call__(self, features: FloatArray) -> FloatArray:
        """Return the expected vectors [E, K]."""
        expected: FloatArray = features @ self.weights + self.intercept
        return expected


def regress(features: FloatArray, vectors: FloatArray) -> Regression:
    """Fit a ridge regression; the strength is chosen per dimension by leaving one entity out."""
    count, width = features.shape
    centre, intercept = features.mean(axis=0), vectors.mean(axis=0)
    around = vectors - intercept
    spread = np.maximum(around.var(axis=0) * count / max(count - 1, 1), LEAST_PRIOR_SD**2)
    if count < 4 or width == 0:
        wide = ((around**2).sum(axis=0) + FEW * FEW_PRIOR_SD**2) / (max(count - 1, 0) + FEW)
        wide = np.minimum(wide, WIDEST_PRIOR_SD**2)
        return Regression(weights=np.zeros((width, vectors.shape[1])), intercept=intercept, variance=wide)
    left, values, right = np.linalg.svd(features - centre, full_matrices=False)
    best, weights = np.full(vectors.shape[1], np.inf), np.zeros((width, vectors.shape[1]))
    projected = left.T @ around
    for strength in STRENGTHS:
        shrunk = values**2 / (values**2 + strength)
        leverage = np.minimum((left**2) @ shrunk + 1 / count, 0.98)
        errors = (around - left @ (shrunk[:, None] * projected)) / (1 - leverage[:, None])
        score = (errors**2).mean(axis=0)
        better = score < best
        found = right.T @ ((values / (values**2 + strength))[:, None] * projected)
        best, weights = np.where(better, score, best), np.where(better, found, weights)
    useless = best >= spread
    weights, best = np.where(useless, 0.0, weights), np.where(useless, spread, best)
    variance = np.clip(best, LEAST_PRIOR_SD**2, WIDEST_PRIOR_SD**2)
    return Regression(weights=weights, intercept=intercept - centre @ weights, variance=variance)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Side:
    """The entities of one side. Shapes: features [E, F], mean [E, K], covariance [E, K, K]; `index` numbers the ids."""

    index: Mapping[str, int]
    features: FloatArray
    mean: FloatArray
    covariance: FloatArray
    prior: Regression

    def look_up(self, ids: npt.NDArray[np.str_], features: FloatArray) -> tuple[FloatArray, FloatArray, IntArray]:
        """Return mean [N, K], covariance [N, K, K] and code [N] of each row's entity; -1 and the prior when unknown."""
        codes = np.array([self.index.get(name, -1) for name in ids.tolist()], dtype=np.int64)
        mean, covariance = self.mean[codes], self.covariance[codes]
        unknown = codes < 0
        if unknown.any():
            mean[unknown] = self.prior(features[unknown])
            covariance[unknown] = np.diag(self.prior.variance)
        return mean, covariance, codes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """Measured pairs: codes of both sides [M], mean ln seconds [M], number of runs [M]."""

    computation: IntArray
    resource: IntArray
    mean: FloatArray
    count: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bilinear:
    """The fitted model: both sides, the variance of a cell around it, and how kernels enter the descriptors."""

    computations: Side
    resources: Side
    noise: float
    kernels: tuple[str, ...]

    def predict(self, asked: Design) -> tuple[FloatArray, FloatArray]:
        """Return mean and sd [N] of ln seconds."""
        u, cov_u, _ = self.computations.look_up(asked.computation, computation_basis(asked, self.kernels))
        v, cov_v, _ = self.resources.look_up(asked.resource, _known(asked.resource_x))
        u_one, v_one = u.copy(), v.copy()
        u_one[:, 0], v_one[:, 0] = 1.0, 1.0
        mean = u[:, 0] + v[:, 0] + (u[:, 1:] * v[:, 1:]).sum(axis=1)
        variance = np.einsum("nk,nkl,nl->n", u_one, cov_v, u_one) + np.einsum("nk,nkl,nl->n", v_one, cov_u, v_one)
        both = np.einsum("nkl,nlk->n", cov_u[:, 1:, 1:], cov_v[:, 1:, 1:])
        return mean, np.sqrt(variance + both + self.noise)

    def updated(self, seen: Design, new: Design) -> "Bilinear":
        """Return the model with the posterior of every entity that has new rows, given all its rows in `seen`.

        Entities without older rows are solved first against the known other side; two sweeps when both are new.
        """
        computations = _with_new(self.computations, new.computation, computation_basis(new, self.kernels))
        resources = _with_new(self.resources, new.resource, _known(new.resource_x))
        model = replace(self, computations=computations, resources=resources)
        touched_c, touched_r = set(new.computation.tolist()), set(new.resource.tolist())
        rows = np.isin(seen.computation, list(touched_c)) | np.isin(seen.resource, list(touched_r))
        cells = cells_of(seen.rows(rows), computations.index, resources.index)
        for _ in range(2):
            model = replace(
                model, resources=_solved(model.resources, model.computations, cells, model.noise, touched_r)
            )
            model = replace(
                model, computations=_solved(model.computations, model.resources, _mirror(cells), model.noise, touched_c)
            )
        return model


def fit_bilinear(seen: Design, rank: int, *, seed: int = 0) -> Bilinear:
    """Fit both sides by alternating exact posteriors (variational expectation-maximisation)."""
    kernels = _kernels(seen)
    rng = np.random.default_rng(seed)
    computations = _start(seen.computation, computation_basis(seen, kernels), rank, rng)
    resources = _start(seen.resource, _known(seen.resource_x), rank, rng)
    cells = cells_of(seen, computations.index, resources.index)
    offset = float(cells.mean.mean())
    computations.mean[:, 0] = offset
    noise = max(float(cells.mean.var()) / 4, LEAST_NOISE_SD**2)
    for step in range(ROUNDS):
        if step and step % PRIOR_EVERY == 0:
            computations = replace(computations, prior=_loosened(computations))
            resources = replace(resources, prior=_loosened(resources))
        resources = _solved(resources, computations, cells, noise)
        computations = _solved(computations, resources, _mirror(cells), noise)
        noise = _noise(computations, resources, cells)
    return Bilinear(computations=computations, resources=resources, noise=noise, kernels=kernels)


def cells_of(seen: Design, computations: Mapping[str, int], resources: Mapping[str, int]) -> Cells:
    """Return the measured pairs, in an order that does not depend on the order of rows."""
    c = np.array([computations[name] for name in seen.computation.tolist()], dtype=np.int64)
    r = np.array([resources[name] for name in seen.resource.tolist()], dtype=np.int64)
    pair, inverse, count = np.unique(c * (len(resources) + 1) + r, return_inverse=True, return_counts=True)
    mean = np.bincount(inverse, weights=seen.target, minlength=len(pair)) / np.maximum(count, 1)
    width = len(resources) + 1
    return Cells(computation=pair // width, resource=pair % width, mean=mean, count=count.astype(np.float64))


def computation_basis(rows: Design, kernels: tuple[str, ...]) -> FloatArray:
    """Return the descriptors [N, F] of computations: features, and the ln sizes of each kernel on their own."""
    features = [_known(rows.computation_x)]
    size = _known(rows.size)
    features.extend(size * (rows.kernel == name)[:, None] for name in kernels)
    return np.concatenate(features, axis=1)


def _kernels(seen: Design) -> tuple[str, ...]:
    names = np.unique(seen.kernel)
    grouped = len(names) < len(np.unique(seen.computation)) and seen.size.shape[1] > 0
    return tuple(names.tolist()) if grouped and len(names) <= 64 else ()


def _known(features: FloatArray) -> FloatArray:
    return np.nan_to_num(features, nan=0.0)


def _mirror(cells: Cells) -> Cells:
    return Cells(computation=cells.resource, resource=cells.computation, mean=cells.mean, count=cells.count)


def _start(ids: npt.NDArray[np.str_], features: FloatArray, rank: int, rng: np.random.Generator) -> Side:
    names, inverse, count = np.unique(ids, return_inverse=True, return_counts=True)
    means = np.zeros((len(names), features.shape[1]))
    np.add.at(means, inverse, features)
    mean = np.concatenate([np.zeros((len(names), 1)), rng.normal(0, 0.3, (len(names), rank))], axis=1)
    wide = np.r_[WIDEST_PRIOR_SD**2, np.full(rank, 0.25)]
    flat = Regression(weights=np.zeros((features.shape[1], rank + 1)), intercept=np.zeros(rank + 1), variance=wide)
    return Side(
        index={name: code for code, name in enumerate(names.tolist())},
        features=means / count[:, None],
        mean=mean,
        covariance=np.zeros((len(names), rank + 1, rank + 1)),
        prior=flat,
    )


def _loosened(side: Side) -> Regression:
    """Return the prior refitted to the means; what a mean does not know for sure counts as variance too."""
    prior = regress(side.features, side.mean)
    unsure = np.diagonal(side.covariance, axis1=1, axis2=2).mean(axis=0)
    return replace(prior, variance=np.minimum(prior.variance + unsure, WIDEST_PRIOR_SD**2))


def _solved(side: Side, other: Side, cells: Cells, noise: float, only: set[str] | None = None) -> Side:
    """Return the side with the exact posterior of its entities (or of some) given the other side's means."""
    wanted = np.arange(len(side.mean)) if only is None else np.array(sorted(side.index[name] for name in only))
    place = np.full(len(side.mean), -1)
    place[wanted] = np.arange(len(wanted))
    rows = place[cells.resource] >= 0
    entity, partner = place[cells.resource[rows]], cells.computation[rows]
    basis = other.mean[partner].copy()
    target = cells.mean[rows] - basis[:, 0]
    basis[:, 0] = 1.0
    width = basis.shape[1]
    unsure = np.einsum(
        "nk,nkl,nl->n",
        _one(side.mean[cells.resource[rows]]),
        other.covariance[partner],
        _one(side.mean[cells.resource[rows]]),
    )
    weight = 1.0 / (noise * (0.5 + 0.5 / cells.count[rows]) + unsure)
    precision = np.zeros((len(wanted), width, width))
    np.add.at(precision, entity, weight[:, None, None] * basis[:, :, None] * basis[:, None, :])
    pull = np.zeros((len(wanted), width))
    np.add.at(pull, entity, (weight * target)[:, None] * basis)
    known = 1.0 / side.prior.variance
    precision += np.diag(known)
    pull += known * side.prior(side.features[wanted])
    covariance = np.linalg.inv(precision)
    mean, kept = side.mean.copy(), side.covariance.copy()
    mean[wanted] = (covariance @ pull[..., None])[..., 0]
    kept[wanted] = covariance
    return replace(side, mean=mean, covariance=kept)


def _one(vectors: FloatArray) -> FloatArray:
    with_one = vectors.copy()
    with_one[:, 0] = 1.0
    return with_one


def _noise(computations: Side, resources: Side, cells: Cells) -> float:
    u, v = computations.mean[cells.computation], resources.mean[cells.resource]
    error = cells.mean - u[:, 0] - v[:, 0] - (u[:, 1:] * v[:, 1:]).sum(axis=1)
    free = max(len(error) - 0.5 * (u.shape[1] * (len(computations.mean) + len(resources.mean))), 0.25 * len(error))
    return max(float((error**2).sum() / free), LEAST_NOISE_SD**2)


def _with_new(side: Side, ids: npt.NDArray[np.str_], features: FloatArray) -> Side:
    """Return the side with room for ids that it did not know, at their prior."""
    names, first = np.unique(ids, return_index=True)
    fresh = [place for place, name in enumerate(names.tolist()) if name not in side.index]
    if not fresh:
        return side
    rows = features[first[fresh]]
    index = dict(side.index) | {str(names[place]): len(side.index) + n for n, place in enumerate(fresh)}
    prior = np.broadcast_to(np.diag(side.prior.variance), (len(fresh), *side.covariance.shape[1:]))
    return Side(
        index=index,
        features=np.concatenate([side.features, rows]),
        mean=np.concatenate([side.mean, side.prior(rows)]),
        covariance=np.concatenate([side.covariance, prior]),
        prior=side.prior,
    )
