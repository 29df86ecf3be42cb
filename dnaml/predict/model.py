"""The fitted state behind `RuntimePredictor`: experts, their weights, intervals, and the rows they learned from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from dnaml.predict.baselines import Expert
from dnaml.predict.calibration import Calibration
from dnaml.predict.design import Design, Encoder
from dnaml.predict.experts import Counts, Weights, answers, blended, fit_experts
from dnaml.predict.replay import Replayed, own_runs, replay, weigh

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LEANS = (0.02, 0.1, 0.3, 1.0, 3.0)  # imaginary runs at the blend's answer
DEFAULT_LEAN = 0.3
POOL_NOISE_SD, NOISE_PRIOR_RUNS = 0.08, 4.0
LEAST_SCALE = 0.005


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Noise:
    """The sd of ln seconds between runs of one pair, per kernel, shrunk to that of all kernels."""

    pool: float = POOL_NOISE_SD
    kernels: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, seen: Design) -> "Noise":
        """Return the noise of these rows; pairs that ran once say nothing."""
        pairs = np.char.add(np.char.add(seen.computation, "\x1f"), seen.resource)
        _, first, inverse = np.unique(pairs, return_index=True, return_inverse=True)
        count = np.bincount(inverse)
        mean = np.bincount(inverse, weights=seen.target) / count
        squares = np.bincount(inverse, weights=(seen.target - mean[inverse]) ** 2)
        total = float(squares.sum()) + NOISE_PRIOR_RUNS * POOL_NOISE_SD**2
        pool = total / (float((count - 1).sum()) + NOISE_PRIOR_RUNS)
        names, of_kernel = np.unique(seen.kernel[first], return_inverse=True)
        own = np.bincount(of_kernel, weights=squares) + NOISE_PRIOR_RUNS * pool
        free = np.bincount(of_kernel, weights=count - 1.0) + NOISE_PRIOR_RUNS
        return cls(
            pool=float(np.sqrt(pool)), kernels=dict(zip(names.tolist(), np.sqrt(own / free).tolist(), strict=True))
        )

    def sd(self, kernels: npt.NDArray[np.str_]) -> FloatArray:
        """Return the sd [N] of one run around its pair."""
        return np.array([self.kernels.get(name, self.pool) for name in kernels.tolist()], dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """All that a fitted predictor knows; a value."""

    encoder: Encoder
    seen: Design
    experts: Mapping[str, Expert]
    weights: Weights
    calibration: Calibration
    noise: Noise
    lean: float
    fitted_rows: int

    def log_quantiles(self, asked: Design, counts: Counts) -> tuple[FloatArray, list[tuple[int, int]]]:
        """Return quantiles [N, Q] of ln seconds at LEVELS, and the group of each row."""
        means, sds = answers(self.experts, asked)
        groups = counts.groups(asked)
        own = own_runs(self.seen, asked)
        noise = self.noise.sd(asked.kernel)
        mean, scale = leaned(means, sds, self.weights.of(groups), own, noise, self.lean)
        return self.calibration.quantiles(mean, scale, groups), groups

    def updated(self, new: Design) -> "Model":
        """Return the model with further rows: experts move in closed form, weights and intervals stay."""
        seen = self.seen.joined(new)
        return replace(self, seen=seen, experts={name: e.updated(seen, new) for name, e in self.experts.items()})


def fit_model(encoder: Encoder, seen: Design, *, seed: int) -> Model:
    """Fit experts on all rows; weights, lean and intervals from replays on them."""
    experts = fit_experts(seen, seed=seed)
    noise = Noise.of(seen)
    replayed = replay(seen, seed=seed)
    names = tuple(sorted(experts))
    if replayed is None:
        weights, calibration, lean = Weights(names=names), Calibration(), DEFAULT_LEAN
    else:
        replayed = _only(replayed, names)
        weights = weigh(replayed)
        lean = _lean(replayed, weights, noise)
        calibration = _calibration(replayed, weights, noise, lean)
    return Model(
        encoder=encoder,
        seen=seen,
        experts={name: experts[name] for name in names},
        weights=weights,
        calibration=calibration,
        noise=noise,
        lean=lean,
        fitted_rows=len(seen),
    )


def leaned(
    means: FloatArray, sds: FloatArray, weights: FloatArray, own: FloatArray, noise: FloatArray, lean: float
) -> tuple[FloatArray, FloatArray]:
    """Return mean and scale [N] of ln seconds: the blend, drawn to the pair's own runs where there are some.

    `own` [N, 2] holds count and mean ln seconds of the pair's runs; `lean` imaginary runs stand at the blend's answer.
    """
    mean, sd = blended(means, sds, weights)
    count = own[:, 0]
    ran = count > 0
    moved = mean + np.where(ran, count / (count + lean) * (np.nan_to_num(own[:, 1]) - mean), 0.0)
    scale = np.where(ran, noise * np.sqrt(1 + 1 / np.maximum(count, 1)), np.sqrt(sd**2 + noise**2))
    return moved, np.maximum(scale, LEAST_SCALE)


def _only(replayed: Replayed, names: tuple[str, ...]) -> Replayed:
    """Return the replays with exactly these experts; one that no replay could carry answers with the others' mean."""
    place = {name: index for index, name in enumerate(replayed.names)}
    fill = (replayed.means.mean(axis=1), 2 * replayed.sds.mean(axis=1))
    columns = [(replayed.means[:, place[n]], replayed.sds[:, place[n]]) if n in place else fill for n in names]
    means, sds = (np.stack([column[i] for column in columns], axis=1) for i in (0, 1))
    return replace(replayed, names=names, means=means, sds=sds)


def _lean(replayed: Replayed, weights: Weights, noise: Noise) -> float:
    """Return the number of imaginary runs that predicts hidden runs of pairs that ran best."""
    ran = replayed.own[:, 0] > 0
    if not ran.any():
        return DEFAULT_LEAN
    weight, sd = weights.of(replayed.groups), noise.sd(replayed.kernels)

    def loss(lean: float) -> float:
        mean, _ = leaned(replayed.means, replayed.sds, weight, replayed.own, sd, lean)
        return float(np.abs(mean - replayed.truth)[ran].mean())

    return min(LEANS, key=loss)


def _calibration(replayed: Replayed, weights: Weights, noise: Noise, lean: float) -> Calibration:
    weight, sd = weights.of(replayed.groups), noise.sd(replayed.kernels)
    mean, scale = leaned(replayed.means, replayed.sds, weight, replayed.own, sd, lean)
    return Calibration.of((replayed.truth - mean) / scale, replayed.groups)
