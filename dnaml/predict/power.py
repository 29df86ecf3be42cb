"""What a run draws: ln watts as a share of the rated power plus one effect per resource and one per computation.

    ln watts(c, r) = p_r + a + b_r + d_c + noise,   p_r = ln(share of rated power), a, b, d Gaussian

The posterior means are exact (block by block until nothing moves), each variance is that of one effect given the
others. Energy is power times time. Values; numpy only. Shapes: all arrays [N], one row a run.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.core.prediction import LEVELS
from dnaml.predict.outcomes import NORMAL

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
TextArray = npt.NDArray[np.str_]

RATED_SHARE = 0.6  # of the rated power that busy machines draw
UNRATED_W = 100.0
LEVEL_SD, UNRATED_SD = 0.5, 1.0  # of the common level, and of a machine without a rating
RESOURCE_SD, COMPUTATION_SD, NOISE_SD = 0.35, 0.35, 0.15
NOISE_RUNS = 20.0  # that the first guess of the noise counts for
LEAST_W, MOST_W = 1e-3, 1e8
SWEEPS, STILL = 200, 1e-10
Effect = tuple[float, float]  # mean, variance


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What is known of the power of resources and computations. `cells` hold count and mean of ln watts over p_r."""

    level: Effect = (0.0, LEVEL_SD**2)
    resources: Mapping[str, Effect] = field(default_factory=dict)
    computations: Mapping[str, Effect] = field(default_factory=dict)
    noise: float = NOISE_SD**2
    cells: Mapping[tuple[str, str], tuple[int, float, float]] = field(default_factory=dict)

    def updated(self, resource: TextArray, computation: TextArray, watts: FloatArray, rated_w: FloatArray) -> "Power":
        """Return the model with further runs; rows whose watts cannot be true (or NaN) are left out.

        `rated_w` is the rated power of each row's resource, NaN where unknown.
        """
        count = len(resource)
        if not len(computation) == len(watts) == len(rated_w) == count:
            raise InputError(f"power: columns must be equally long, got {count}, {len(computation)}, {len(watts)}")
        good = np.isfinite(watts) & (watts >= LEAST_W) & (watts <= MOST_W)
        left = np.log(np.where(good, watts, 1.0)) - _rated_log_w(rated_w)
        order = np.lexsort((left, computation, resource))
        cells = dict(self.cells)
        for row in order[good[order]].tolist():
            key = (str(resource[row]), str(computation[row]))
            number, mean, scatter = cells.get(key, (0, 0.0, 0.0))
            step = float(left[row]) - mean
            mean += step / (number + 1)
            cells[key] = (number + 1, mean, scatter + step * (float(left[row]) - mean))
        return _solved(cells) if cells else self

    def log_watts(
        self, resource: TextArray, computation: TextArray, rated_w: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return mean and sd [N] of the ln watts of a further run; each row's answer depends on that row alone."""
        unrated = ~_is_rated(rated_w)
        wide = np.where(unrated, UNRATED_SD**2, RESOURCE_SD**2)
        of_r = [self.resources.get(name) for name in resource.tolist()]
        of_c = [self.computations.get(name, (0.0, COMPUTATION_SD**2)) for name in computation.tolist()]
        b = np.array([(0.0, w) if e is None else e for e, w in zip(of_r, wide.tolist(), strict=True)]).reshape(-1, 2)
        d = np.array(of_c, dtype=np.float64).reshape(-1, 2)
        mean = _rated_log_w(rated_w) + self.level[0] + b[:, 0] + d[:, 0]
        return mean, np.sqrt(self.level[1] + b[:, 1] + d[:, 1] + self.noise)


def energy_j(runtime_s: FloatArray, log_watts: FloatArray, sd: FloatArray) -> FloatArray:
    """Return energy quantiles [..., Q] at LEVELS for runtimes [..., Q] and ln watts [...] with its sd.

    Power and time are taken as independent: deviations from the median of the logarithm add in quadrature.
    """
    log_s = np.log(runtime_s)
    middle = log_s[..., LEVELS.index(0.5), None]
    away = np.hypot(log_s - middle, sd[..., None] * NORMAL)
    joules: FloatArray = np.exp(middle + log_watts[..., None] + np.sign(NORMAL) * away)
    return joules


def _is_rated(rated_w: FloatArray) -> npt.NDArray[np.bool_]:
    rated: npt.NDArray[np.bool_] = np.isfinite(rated_w) & (rated_w >= LEAST_W) & (rated_w <= MOST_W)
    return rated


def _rated_log_w(rated_w: FloatArray) -> FloatArray:
    """Return p_r: what a busy machine of this rating draws, before any run."""
    rated = _is_rated(rated_w)
    log_w: FloatArray = np.where(rated, np.log(np.where(rated, rated_w, 1.0) * RATED_SHARE), math.log(UNRATED_W))
    return log_w


def _solved(cells: Mapping[tuple[str, str], tuple[int, float, float]]) -> Power:
    """Return the posterior given the cells: level, resources and computations in turn until none moves."""
    keys = sorted(cells)
    names_r, r = np.unique([key[0] for key in keys], return_inverse=True)
    names_c, c = np.unique([key[1] for key in keys], return_inverse=True)
    count, mean, scatter = np.array([cells[key] for key in keys], dtype=np.float64).T
    level, b, d, noise = 0.0, np.zeros(len(names_r)), np.zeros(len(names_c)), NOISE_SD**2
    known_b, known_d = 1 / RESOURCE_SD**2, 1 / COMPUTATION_SD**2
    runs_b, runs_d = np.bincount(r, count), np.bincount(c, count)
    for _ in range(SWEEPS):
        before = level, b, d
        level = float(count @ (mean - b[r] - d[c])) / (count.sum() + noise / LEVEL_SD**2)
        b = np.bincount(r, count * (mean - level - d[c])) / (runs_b + noise * known_b)
        level, b = _recentred(level, b, RESOURCE_SD)
        d = np.bincount(c, count * (mean - level - b[r])) / (runs_d + noise * known_d)
        level, d = _recentred(level, d, COMPUTATION_SD)
        noise = _noise(count, mean - level - b[r] - d[c], scatter)
        if max(abs(level - before[0]), np.abs(b - before[1]).max(), np.abs(d - before[2]).max()) < STILL:
            break
    spread_b, spread_d = 1 / (known_b + runs_b / noise), 1 / (known_d + runs_d / noise)
    return Power(
        level=(level, 1 / (1 / LEVEL_SD**2 + float(count.sum()) / noise)),
        resources=dict(zip(names_r.tolist(), zip(b.tolist(), spread_b.tolist(), strict=True), strict=True)),
        computations=dict(zip(names_c.tolist(), zip(d.tolist(), spread_d.tolist(), strict=True), strict=True)),
        noise=noise,
        cells=cells,
    )


def _recentred(level: float, effects: FloatArray, sd: float) -> tuple[float, FloatArray]:
    """Return level and effects after moving what is common to the effects: exact, where turns would take for ever."""
    common = float(effects.sum()) / sd**2 - level / LEVEL_SD**2
    step = common / (len(effects) / sd**2 + 1 / LEVEL_SD**2)
    return level + step, effects - step


def _noise(count: FloatArray, error: FloatArray, scatter: FloatArray) -> float:
    """Return the variance of one run, drawn to its first guess while runs are few."""
    squares = float(scatter.sum() + (count * error**2).sum())
    return (squares + NOISE_RUNS * NOISE_SD**2) / (float(count.sum()) + NOISE_RUNS)
