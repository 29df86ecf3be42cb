"""What follows from a runtime: its cost, whether the pair fits at all, and how often a resource is lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dnaml.core.prediction import LEVELS, BoolArray, Prediction, Quantiles
from dnaml.core.protocols import Run
from dnaml.core.types import Computation, Objective, Resource

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


def costs_usd(runtime_s: FloatArray, resources: Sequence[Resource]) -> FloatArray:
    """Return price x (runtime + start-up) [..., R, Q]; NaN where a resource has no price."""
    per_s = np.array([np.nan if r.price_usd_per_h is None else r.price_usd_per_h / 3600 for r in resources])
    startup_s = np.array([r.startup_s or 0.0 for r in resources])
    costs: FloatArray = per_s[:, None] * (runtime_s + startup_s[:, None])
    return costs


def fits(computations: Sequence[Computation], resources: Sequence[Resource]) -> BoolArray:
    """Return [C, R]: False where a computation needs more memory than the resource is known to have."""
    need = np.array([c.memory_bytes or 0 for c in computations], dtype=np.float64)
    have = np.array([np.inf if r.memory_bytes is None else r.memory_bytes for r in resources], dtype=np.float64)
    return need[:, None] <= have[None, :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hazard:
    """Estimates the rate at which each resource is lost: Gamma-Poisson, `(losses + a) / (hours + b)` per hour.

    A run that is both failed and censored was lost with its resource; one that is only censored was stopped on
    request or went on from a checkpoint, one that is only failed ended by its own doing.
    """

    prior_losses: float = 0.02
    prior_hours: float = 1.0
    losses: Mapping[str, float] = field(default_factory=dict)
    hours: Mapping[str, float] = field(default_factory=dict)

    def updated(self, runs: Sequence[Run]) -> "Hazard":
        """Return the estimate that knows these runs too."""
        losses, hours = dict(self.losses), dict(self.hours)
        for run in runs:
            name = run.resource.id
            hours[name] = hours.get(name, 0.0) + max(run.runtime_s, 0.0) / 3600
            if run.failed and run.censored:
                losses[name] = losses.get(name, 0.0) + 1.0
        return Hazard(prior_losses=self.prior_losses, prior_hours=self.prior_hours, losses=losses, hours=hours)

    def per_h(self, resource_id: str) -> float:
        """Return the expected losses per hour of use of one resource."""
        losses, hours = self.losses.get(resource_id, 0.0), self.hours.get(resource_id, 0.0)
        return (losses + self.prior_losses) / (hours + self.prior_hours)


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
        cost_usd=Quantiles(levels=QUANTILE_LEVELS, values=costs_usd(runtime_s, resources)),
        feasible=fits(computations, resources),
        hazard_per_h=np.array([hazard.per_h(r.id) for r in resources], dtype=np.float64),
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
    best = np.argsort(score, kind="stable")[:k]
    return np.asarray(best[np.isfinite(score[best])], dtype=np.int64)
