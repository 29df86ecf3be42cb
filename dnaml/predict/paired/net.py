"""The fitted neural expert: a prior learnt from known entities, and the exact posterior of a new one given its probes.

    y = item effect + g(entity) . v(item) + phi(item) . z + noise,     z ~ N(m(entity), 1 / precision)

Plain arrays and numpy alone; `episodes.py` trains what stands here. Probes that the prior and the other probes
contradict lose weight, as the tails of a Student t distribution would have it.
"""

from dataclasses import dataclass, replace

import numpy as np

from dnaml.predict.paired.grid import Answer, BoolArray, FloatArray, IntArray, Task
from dnaml.predict.paired.sources import Sources

BOUND = 3.0  # of a loading before it is divided by the root of the rank
LEAST_NOISE = 1e-3  # variance, in squared units of the net's scale
LEAST_LOG_PRECISION, MOST_LOG_PRECISION = -5.0, 7.0
MOST_ENTITY_NOISE = 2.0  # of ln variance, either way
LEAST_LOG_FREEDOM, MOST_LOG_FREEDOM = 0.0, 8.0  # of a probe's noise
MOST_SELF = 0.999  # share of a probe's prediction that is due to itself
PASSES = 2  # of the posterior: exact, then with probes re-weighted


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tower:
    """Two layers and a linear head. Shapes: w1 [F, H], w2 [H, H], head [H, O]."""

    w1: FloatArray
    b1: FloatArray
    w2: FloatArray
    b2: FloatArray
    head: FloatArray
    bias: FloatArray

    def __call__(self, x: FloatArray) -> FloatArray:
        """Return the outputs [N, O] at inputs [N, F]."""
        found: FloatArray = silu(silu(x @ self.w1 + self.b1) @ self.w2 + self.b2) @ self.head + self.bias
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profile:
    """What the sources' rows say of an item, as its first principal scores. Shapes: basis [S, P], spread [P]."""

    basis: FloatArray
    spread: FloatArray

    def __call__(self, left: FloatArray) -> FloatArray:
        """Return the scores [N, P] of items, from what the effects leave of the sources' rows [S, N]."""
        scores: FloatArray = np.clip(left.T @ self.basis / self.spread, -6.0, 6.0)
        return scores


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoding:
    """Items as the net sees them. Shapes: loadings [N, R] (the first is 1), noise [N], bias [N], wide [N, V]."""

    loadings: FloatArray
    noise: FloatArray
    bias: FloatArray
    wide: FloatArray

    def __getitem__(self, chosen: IntArray) -> "Encoding":
        return Encoding(**{name: getattr(self, name)[chosen] for name in Encoding.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Posterior:
    """What probes leave of the latent vector, in units of the net's scale. Shapes: mean [R], covariance [R, R].

    `own_error` is the mean absolute error on the probes, each left out in turn; NaN with fewer than two.
    """

    mean: FloatArray
    covariance: FloatArray
    own_error: float = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OneNet:
    """A fitted net. Shapes: known [I] where items were measured in training; precision [R]; ids [I, D]; id_bias [I].

    `tails` holds ln of the degrees of freedom of a probe's noise, and its slope in ln of the number of probes.
    """

    scale: float
    offset: float
    known: BoolArray
    profile: Profile
    ids: FloatArray
    id_bias: FloatArray
    item: Tower
    skip: FloatArray
    entity: Tower
    precision: FloatArray
    tails: FloatArray
    encoded: Encoding

    def asked(self, task: Task, told: "Told") -> tuple[FloatArray, FloatArray, FloatArray, Posterior]:
        """Return mean [Q], loadings [Q, R] and noise variance [Q] in ln seconds, and the posterior."""
        k, effect = task.probes, told.effect + self.offset
        items = self.encode(task, told)
        latent, wide, louder = self.describe(task)
        base = items.bias + items.wide @ wide
        left = (task.y - effect[:k]) / self.scale - base[:k]
        noise = items.noise * louder
        found = self.posterior(latent, items.loadings[:k], left, noise[:k])
        mean = effect[k:] + self.scale * (base[k:] + items.loadings[k:] @ found.mean)
        return mean, items.loadings[k:] * self.scale, noise[k:] * self.scale**2, found

    def describe(self, task: Task) -> tuple[FloatArray, FloatArray, float]:
        """Return the entity's prior mean of the latent [R], its wide vector [V], and the factor of its noise."""
        x = np.concatenate([task.entity_x, task.telemetry, [float(task.probes > 0)]])
        out, rank = self.entity(x[None])[0], len(self.precision)
        louder = float(np.exp(MOST_ENTITY_NOISE * np.tanh(out[rank])))
        return out[:rank], out[rank + 1 :], louder

    def encode(self, task: Task, told: "Told") -> Encoding:
        """Return a task's items as the net sees them."""
        items = self.encoded[np.maximum(task.item, 0)]
        if told.left is not None:
            guessed = self.encode_unseen(task.item_x[~told.seen], self.profile(told.left / self.scale))
            for name in Encoding.__slots__:
                getattr(items, name)[~told.seen] = getattr(guessed, name)
        return items

    def encode_unseen(self, item_x: FloatArray, scores: FloatArray) -> Encoding:
        """Return items never seen, from their descriptors [N, Fi] and the scores [N, P] guessed for them."""
        none = np.zeros((len(item_x), self.ids.shape[1]))
        return encoding(self.item(np.concatenate([item_x, scores, none], axis=1)), scores @ self.skip, 0.0)

    def posterior(self, prior: FloatArray, loadings: FloatArray, left: FloatArray, noise: FloatArray) -> Posterior:
        """Return the latent given probes: loadings [K, R], what is left of them [K], noise variance [K]."""
        weight = 1.0 / noise
        found = _exact(self.precision, prior, loadings, left, weight)
        if len(left) == 0:
            return found
        log_freedom = self.tails[0] + self.tails[1] * np.log(len(left))
        freedom = float(np.exp(np.clip(log_freedom, LEAST_LOG_FREEDOM, MOST_LOG_FREEDOM)))
        for _ in range(PASSES - 1):
            around, variance = left_out(found, loadings, left, weight, noise)
            weight = np.minimum((freedom + 1.0) / (freedom + around**2 / variance), 1.0) / noise
            found = _exact(self.precision, prior, loadings, left, weight)
        if len(left) > 1:
            around, _ = left_out(found, loadings, left, weight, noise)
            found = replace(found, own_error=float(np.abs(around).mean()))
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """What sources tell of a task's items. Shapes: seen [N]; effect [N]; left [S, U] of those never seen, or None."""

    seen: BoolArray
    effect: FloatArray
    left: FloatArray | None

    @classmethod
    def of(cls, task: Task, sources: Sources, known: BoolArray) -> "Told":
        """Return what the sources tell; items that `known` [I] does not mark are as good as never seen."""
        place = np.maximum(task.item, 0)
        seen = (task.item >= 0) & known[place]
        if seen.all():
            return cls(seen=seen, effect=sources.item_effect[place], left=None)
        rows, effect = sources.at(task)
        if sources.item_effect_held_out is not None:
            effect = np.where(seen | (task.item < 0), effect, sources.item_effect_held_out[place])
        return cls(seen=seen, effect=effect, left=(rows - effect - sources.entity_effect[:, None])[:, ~seen])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Net:
    """Nets that differ by chance alone; their answers are averaged, and what sets them apart is doubt."""

    nets: tuple[OneNet, ...]

    def answer(self, task: Task, sources: Sources) -> Answer:
        """Return the answer to a task, from the sources that the net was fitted with."""
        told = Told.of(task, sources, self.nets[0].known)
        means, variances, errors = [], [], []
        for net in self.nets:
            mean, loadings, noise, found = net.asked(task, told)
            means.append(mean)
            variances.append(np.einsum("qr,qr->q", loadings @ found.covariance, loadings) + noise)
            errors.append(found.own_error * net.scale)
        sd = np.sqrt(np.mean(variances, axis=0) + np.var(means, axis=0))
        return Answer(mean=np.mean(means, axis=0), sd=sd, own_error=float(np.mean(errors)))

    def joint(self, task: Task, sources: Sources) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return mean [Q], covariance [Q, Q] and noise variance [Q] of the asked items, in ln seconds."""
        told = Told.of(task, sources, self.nets[0].known)
        parts = [net.asked(task, told) for net in self.nets]
        mean = np.mean([part[0] for part in parts], axis=0)
        apart = np.stack([part[0] - mean for part in parts])
        covariance = np.mean([loadings @ found.covariance @ loadings.T for _, loadings, _, found in parts], axis=0)
        return mean, covariance + apart.T @ apart / len(parts), np.mean([part[2] for part in parts], axis=0)


def left_out(
    found: Posterior, loadings: FloatArray, left: FloatArray, weight: FloatArray, noise: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return how far each probe [K] lies from what the prior and the other probes say, and its variance there."""
    quadratic = np.einsum("kr,kr->k", loadings @ found.covariance, loadings)
    apart = 1.0 - np.minimum(weight * quadratic, MOST_SELF)  # what of a probe its own weight does not explain
    return (left - loadings @ found.mean) / apart, quadratic / apart + noise


def _exact(
    precision: FloatArray, prior: FloatArray, loadings: FloatArray, left: FloatArray, weight: FloatArray
) -> Posterior:
    """Return the Gaussian posterior of the latent; float64 throughout."""
    weighted = loadings * weight[:, None]
    inverse = np.diag(precision) + weighted.T @ loadings
    covariance: FloatArray = np.linalg.inv(inverse).astype(np.float64)
    return Posterior(mean=covariance @ (precision * prior + weighted.T @ left), covariance=covariance)


def encoding(out: FloatArray, skip: FloatArray, id_bias: FloatArray | float) -> Encoding:
    """Return the encoding that a tower's outputs [N, O] and the skipped scores [N, R-1] stand for."""
    rank = skip.shape[1]
    raw = out[:, :rank] + skip
    loadings = BOUND * np.tanh(raw / BOUND) / rank**0.5
    return Encoding(
        loadings=np.concatenate([np.ones((len(out), 1)), loadings], axis=1),
        noise=np.logaddexp(0.0, out[:, rank] - BOUND) + LEAST_NOISE,
        bias=out[:, rank + 1] + id_bias,
        wide=out[:, rank + 2 :],
    )


def silu(x: FloatArray) -> FloatArray:
    """Return x times its logistic function."""
    found: FloatArray = x / (1.0 + np.exp(-np.clip(x, -60.0, 60.0)))
    return found
