"""The seed algorithm, exactly as its author wrote it, kept as a reference.

For each combination of resources, `total_cost += cost * (1 - similarity)` and `total_latency += latency * (1 -
similarity)`; the combination with the lowest weighted sum wins. Two degeneracies are known (and tested): as nothing is
shared out, a single resource always wins; and a similarity of 1 makes everything free. Cost and latency are what the
resources say of themselves, price by the hour and seconds to the control node: no runtime is predicted, no queue seen.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dnaml.core.plan import Plan, Problem
from dnaml.schedule.policies.in_turn import plan_in_turn
from dnaml.schedule.queues import Board

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

EXHAUSTIVE_RESOURCES = 12
"""all combinations of so many resources are tried; of more, only single resources"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedMatcherPolicy:
    """Matches each job for itself; an unknown similarity, price or latency counts as 0."""

    name: str = "seed_matcher"
    wants_similarity: ClassVar[bool] = True

    def plan(self, problem: Problem) -> Plan:
        """Return placements in order of arrival."""
        price_usd_per_h = np.array([resource.price_usd_per_h or 0.0 for resource in problem.resources])
        latency_s = np.array([resource.latency_s or 0.0 for resource in problem.resources])
        similarity = similarity_of(problem)

        def choose(j: int, candidates: list[int], board: Board) -> int:
            weights = (problem.jobs[j].objective or problem.objective).shares()
            best = best_combination(
                price_usd_per_h[candidates], latency_s[candidates], similarity[j, candidates], weights[0], weights[1]
            )
            assert len(best) == 1, "no term is negative, so one resource is never worse than more"
            return candidates[best[0]]

        return plan_in_turn(problem, choose)


def best_combination(
    cost: FloatArray, latency: FloatArray, similarity: FloatArray, cost_weight: float, latency_weight: float
) -> tuple[int, ...]:
    """Return the combination of resources [R] with the lowest weighted sum: of equals the smallest, the first."""
    tried = _combinations(len(cost))
    member = _membership(len(cost))
    total_cost = member @ (cost * (1 - similarity))
    total_latency = member @ (latency * (1 - similarity))
    return tried[int(np.argmin(cost_weight * total_cost + latency_weight * total_latency))]


@lru_cache(maxsize=EXHAUSTIVE_RESOURCES)
def _combinations(resources: int) -> tuple[tuple[int, ...], ...]:
    largest = resources if resources <= EXHAUSTIVE_RESOURCES else 1
    return tuple(chosen for size in range(1, largest + 1) for chosen in combinations(range(resources), size))


@lru_cache(maxsize=EXHAUSTIVE_RESOURCES)
def _membership(resources: int) -> FloatArray:
    """Return which resource is in which combination, as numbers [combinations, R]."""
    tried = _combinations(resources)
    member = np.zeros((len(tried), resources))
    for row, chosen in enumerate(tried):
        member[row, list(chosen)] = 1.0
    return member


def similarity_of(problem: Problem) -> FloatArray:
    """Return the problem's similarities [J, R] in [0, 1], 0 where they are not known."""
    if problem.similarity is None:
        return np.zeros(problem.prediction.feasible.shape)
    return np.clip(np.nan_to_num(problem.similarity), 0.0, 1.0)
