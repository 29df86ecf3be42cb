"""What follows from a runtime: its cost, whether the pair fits at all, and how often a resource is lost."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dnaml.core.prediction import LEVELS, BoolArray, Prediction, Quantiles
from dnaml.core.types import Computation, Objective, Resource
from dnaml.predict.cost import Tariffs, Traffic
from dnaml.predict.hazard import Hazard as Hazard

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

QUANTILE_LEVELS: FloatArray = np.array(LEVELS)
# Standard normal quantiles at QUANTILE_LEVELS.
NORMAL: FloatArray = np.array([-1.6448536, -1.2815516, -0.6744898, 0.0, 0.6744898, 1.2815516, 1.6448536])
SHORTEST_S, LONGEST_S = 1e-9, 1e12
SMALLEST_USD = 1e-100


def lognormal_quantiles(mean: FloatArray, sd: FloatArray) -> FloatArray:
    """Return quantiles of a log-normal at LEVELS: mean and sd of the log in any shape, [..., Q] out, always finite."""
    log_values = mean[..., None] + sd[..., None] * NORMAL
    values: FloatArray = np.exp(np.clip(log_values, np.log(SHORTEST_S), np.log(LONGEST_S)))
    return values


def at_level(log_values: FloatArray, level: float) -> FloatArray:
    """Return ln seconds at a level: linear in the normal score between LEVELS and beyond the outermost."""
    from statistics import NormalDist

    if level in LEVELS:
        return log_values[:, LEVELS.index(level)]
    score = NormalDist().inv_cdf(level)
    right = int(np.clip(np.searchsorted(NORMAL, score), 1, len(NORMAL) - 1))
    weight = (score - NORMAL[right - 1]) / (NORMAL[right] - NORMAL[right - 1])
    left = log_values[:, right - 1]
    between: FloatArray = left + weight * (log_values[:, right] - left)
    return between


def costs_usd(
    runtime_s: FloatArray, resources: Sequence[Resource], computations: Sequence[Computation] | None = None
) -> FloatArray:
    """Return what runtimes [..., R, Q] cost by each resource's tariff; NaN where nothing that depends on time is known.

    With the computations ([C, R, Q]) also what they move and keep.
    """
    traffic = None if computations is None else Traffic.of(computations)
    return Tariffs.of(resources).cost_usd(runtime_s, traffic=traffic)


def fits(computations: Sequence[Computation], resources: Sequence[Resource]) -> BoolArray:
    """Return [C, R]: False where a computation needs more memory than the resource is known to have."""
    need = np.array([c.memory_bytes or 0 for c in computations], dtype=np.float64)
    have = np.array([np.inf if r.memory_bytes is None else r.memory_bytes for r in resources], dtype=np.float64)
    return need[:, None] <= have[None, :]


def prediction(
    *,
    runtime_s: FloatArray,
    computations: Sequence[Computation],
    resources: Sequence[Resource],
    hazard: Hazard,
    path: str,
) -> Prediction:
    """Return the full answer for runtime quantiles [C, R, Q]."""
    return Prediction(
        runtime_s=Quantiles(levels=QUANTILE_LEVELS, values=runtime_s),
        cost_usd=Quantiles(levels=QUANTILE_LEVELS, values=costs_usd(runtime_s, resources, computations)),
        feasible=fits(computations, resources),
        hazard_per_h=hazard.rates_per_h(resources),
        path=path,
    )


def shortlisted(answer: Prediction, objective: Objective, k: int) -> IntArray:
    """Return the indices [<= k] of the feasible resources of a one-row prediction, best first.

    The score is the weighted sum of median time and median cost, each over its least; without a price only time counts.
    """
    time_s, cost_usd = (q.values[0, :, len(q.levels) // 2] for q in (answer.runtime_s, answer.cost_usd))
    share_cost, share_latency, *_ = objective.shares()
    priced = np.isfinite(cost_usd) & (cost_usd > 0)
    least_usd = max(cost_usd[priced].min(), SMALLEST_USD) if priced.any() else 1.0
    score = (share_latency + 1e-6) * time_s / time_s.min() + share_cost * np.where(priced, cost_usd / least_usd, 0.0)
    score = np.where(answer.feasible[0], score, np.inf)
    within = np.flatnonzero(score <= np.partition(score, k - 1)[k - 1]) if 0 < k < len(score) else np.arange(len(score))
    best = within[np.argsort(score[within], kind="stable")[:k]]
    return np.asarray(best[np.isfinite(score[best])], dtype=np.int64)
