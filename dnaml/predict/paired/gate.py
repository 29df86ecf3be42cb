"""How much each expert counts: softmax weights by number of probes, learned on replays and shrunk hard to fixed ones.

A free gate on a few dozen replayed entities collapses on one expert; starting from the same weights everywhere and
letting data move them little is nearly as good as the best weights would be, and never far off. An expert that misses
the target's own probes (each left out in turn) loses weight on that target.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dnaml.predict.paired.grid import FloatArray, IntArray
from dnaml.predict.paired.replay import PROBES, Episode

START: Mapping[str, float] = {
    "latent-low": -1.0,
    "latent": 0.0,
    "latent-high": 0.5,
    "rows": 1.3,
    "ernest": 0.0,
    "signature": 0.5,
}  # logits; the others start at 1
START_FEW: Mapping[str, float] = {"similarity": -2.0, "signature": 1.5}  # added up to FEW probes
FEW = 2
FEWEST_EPISODES = 12
ROUNDS = 200
SHRINK, SHRINK_FEW = 2.0, 400.0  # the second over the number of entities
PENALTY_COMMON, PENALTY_BUCKET = 0.001, 0.003
OWN_START, OWN_PENALTY, MOST_OWN = 5.0, 0.02, 8.0
OWN_HALF = 5.0  # probes at which errors on them count half
HUBER = 0.1  # of the scale


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gate:
    """Logits of J experts. Shapes: common [J], bucket [B, J], unseen [2, J]; `own` weighs errors on own probes."""

    names: tuple[str, ...]
    common: FloatArray
    bucket: FloatArray
    unseen: FloatArray
    own: float

    @classmethod
    def start(cls, names: Sequence[str]) -> "Gate":
        """Return the gate before anything was replayed."""
        common = np.array([START.get(name, 1.0) for name in names], dtype=np.float64)
        bucket = np.zeros((len(PROBES), len(names)))
        for name, penalty in START_FEW.items():
            if name in names:
                bucket[np.array(PROBES) <= FEW, names.index(name)] = penalty
        return cls(names=tuple(names), common=common, bucket=bucket, unseen=np.zeros((2, len(names))), own=OWN_START)

    def weights(self, probes: int, unseen: bool, answered: FloatArray, own_errors: FloatArray) -> FloatArray:
        """Return the weights [J]: `answered` [J] is 1 where an expert spoke, own_errors [J] in ln seconds or NaN."""
        logits = self.common + self.bucket[bucket_of(probes)] + self.unseen[int(unseen)]
        signal = own_signal(own_errors) * own_trust(probes)
        weights: FloatArray = _softmax((logits - self.own * signal)[None], answered[None])[0]
        return weights

    def weights_of(self, means: FloatArray, own_errors: FloatArray, probes: int, unseen: bool) -> FloatArray:
        """Return the weights [J] of answers [Q, J], NaN where an expert said nothing."""
        answered = np.asarray(np.isfinite(means).all(axis=0), dtype=np.float64)
        return self.weights(probes, unseen, answered, own_errors)

    def shares(self, probes: int) -> dict[str, float]:
        """Return the weight of each expert where all answer and none knows its error on own probes."""
        weights = self.weights(probes, False, np.ones(len(self.names)), np.full(len(self.names), np.nan))
        return dict(zip(self.names, weights.tolist(), strict=True))


def bucket_of(probes: int) -> int:
    """Return the bucket of a number of probes: the nearest of PROBES on a log scale."""
    return int(np.abs(np.log(np.array(PROBES) + 0.5) - np.log(probes + 0.5)).argmin())


def own_trust(probes: int) -> float:
    """Return how far errors on this many own probes can be trusted, in [0, 1)."""
    return probes / (probes + OWN_HALF)


def own_signal(own_errors: FloatArray) -> FloatArray:
    """Return how much worse than the others an expert does on the target's own probes, in logs [..., J]; else 0."""
    known = np.isfinite(own_errors)
    logs = np.log(np.where(known, own_errors, 1.0) + 1e-3)
    mean = np.where(known, logs, 0.0).sum(axis=-1, keepdims=True) / np.maximum(known.sum(axis=-1, keepdims=True), 1)
    return np.asarray(np.where(known, logs - mean, 0.0), dtype=np.float64)


def fit_gate(episodes: Sequence[Episode], names: Sequence[str], scale: float, entities: int) -> Gate:
    """Return the gate that replays ask for, near the start; `scale` [ln seconds] is what interactions amount to."""
    from scipy.optimize import minimize

    start = Gate.start(names)
    if len(episodes) < FEWEST_EPISODES:
        return start
    data = _Replays(episodes)
    strength = SHRINK + SHRINK_FEW / entities
    shape = (1 + len(PROBES) + 2, len(names))

    def loss(flat: FloatArray) -> tuple[float, FloatArray]:
        moved, own = flat[:-1].reshape(shape), flat[-1]
        logits = (
            start.common + moved[0] + (start.bucket + moved[1:-2])[data.bucket] + moved[-2:][data.unseen]
        ) - own * data.signal
        value, slope = data.loss(logits, scale)
        penalty = strength * np.r_[PENALTY_COMMON, np.full(shape[0] - 1, PENALTY_BUCKET)][:, None] / len(names)
        grad = np.zeros(shape)
        grad[0] = slope.sum(axis=0)
        np.add.at(grad, 1 + data.bucket, slope)
        np.add.at(grad, shape[0] - 2 + data.unseen, slope)
        value += float((penalty * moved**2).sum()) + OWN_PENALTY * (own - OWN_START) ** 2
        own_slope = -float((slope * data.signal).sum()) + 2 * OWN_PENALTY * (own - OWN_START)
        return value, np.r_[(grad + 2 * penalty * moved).ravel(), own_slope]

    first = np.r_[np.zeros(shape[0] * shape[1]), OWN_START]
    bounds = [(-6.0, 6.0)] * (len(first) - 1) + [(0.0, MOST_OWN)]
    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": ROUNDS}).x
    moved = found[:-1].reshape(shape)
    return Gate(
        names=start.names,
        common=start.common + moved[0],
        bucket=start.bucket + moved[1:-2],
        unseen=moved[-2:],
        own=float(found[-1]),
    )


class _Replays:
    """Episodes side by side: rows [N] of E episodes with answers of J experts; an episode counts once."""

    def __init__(self, episodes: Sequence[Episode]) -> None:
        count = np.array([len(e.truth) for e in episodes])
        self.row: IntArray = np.repeat(np.arange(len(episodes)), count)
        means = np.concatenate([e.means for e in episodes])
        self.answered = np.array([np.isfinite(e.means).all(axis=0) for e in episodes], dtype=np.float64)
        self.means = np.where(np.isfinite(means), means, 0.0)
        self.truth = np.concatenate([e.truth for e in episodes])
        self.weight = np.repeat(1.0 / (count * len(episodes)), count)
        self.bucket = np.array([bucket_of(e.task.probes) for e in episodes])
        self.unseen = np.array([int(e.unseen) for e in episodes])
        trust = np.array([own_trust(e.task.probes) for e in episodes])
        self.signal = own_signal(np.array([e.own_errors for e in episodes])) * trust[:, None]

    def loss(self, logits: FloatArray, scale: float) -> tuple[float, FloatArray]:
        """Return the mean pseudo-Huber error over scale, and its slope by each episode's logits [E, J]."""
        weights = _softmax(logits, self.answered)
        blend = np.einsum("nj,nj->n", weights[self.row], self.means)
        error = blend - self.truth
        size = np.sqrt(error**2 + (HUBER * scale) ** 2)
        slope_row = self.weight * error / size / scale
        by_weight = np.zeros_like(weights)
        np.add.at(by_weight, self.row, slope_row[:, None] * self.means)
        inner = (by_weight * weights).sum(axis=1, keepdims=True)
        return float((self.weight * size).sum() / scale), weights * (by_weight - inner)


def _softmax(logits: FloatArray, answered: FloatArray) -> FloatArray:
    shifted = np.where(answered > 0, logits, -np.inf)
    top = shifted.max(axis=1, keepdims=True)
    weight = np.exp(shifted - np.where(np.isfinite(top), top, 0.0))
    total: FloatArray = weight.sum(axis=1, keepdims=True)
    return np.asarray(weight / np.maximum(total, 1e-300), dtype=np.float64)
