"""Earliest finish: list scheduling as in HEFT ("Performance-Effective and Low-Complexity Task Scheduling", 2002).

For jobs that do not wait for each other HEFT's upward rank is the mean runtime over the resources.
"""

from dataclasses import dataclass

import numpy as np

from dnaml.core.plan import Plan, Problem
from dnaml.schedule.feasible import feasibility
from dnaml.schedule.policies.in_turn import plan_in_turn
from dnaml.schedule.queues import Board


@dataclass(frozen=True, slots=True, kw_only=True)
class EarliestFinishPolicy:
    """Takes the longest job first and gives it the resource on which it is predicted to end first."""

    name: str = "earliest_finish"

    def plan(self, problem: Problem) -> Plan:
        """Return placements by priority, then by falling mean runtime."""
        runtime_s = problem.prediction.runtime_s.mean()
        allowed = feasibility(problem).matrix
        rank = np.where(allowed, runtime_s, 0.0).sum(axis=1) / np.maximum(1, allowed.sum(axis=1))
        order = sorted(range(len(problem.jobs)), key=lambda j: (-problem.jobs[j].priority, -rank[j]))

        def choose(j: int, candidates: list[int], board: Board) -> int:
            return min(candidates, key=lambda r: board.start_s(r) + float(runtime_s[j, r]))

        return plan_in_turn(problem, choose, order=order)
