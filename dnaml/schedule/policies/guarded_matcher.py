"""The seed's matcher, guarded: what serves when no trained predictor can.

`score = (w_cost cost / C* + w_time (wait + latency) / T*) (1 - similarity + e)`: e keeps a perfect match from being
free, the references make cost and time comparable, and the wait spreads a batch over the resources.
"""

from dataclasses import dataclass
from typing import ClassVar

from dnaml.core.plan import Plan, Problem
from dnaml.schedule.feasible import feasibility
from dnaml.schedule.objective import best_of_each, expected, known_or_dearest, shares_of
from dnaml.schedule.policies.in_turn import plan_in_turn
from dnaml.schedule.policies.seed_matcher import similarity_of
from dnaml.schedule.queues import Board


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedMatcherPolicy:
    """Matches jobs one by one, each to a single resource, by similarity, cost and time with its queue."""

    name: str = "guarded_matcher"
    wants_similarity: ClassVar[bool] = True
    e: float = 0.05

    def plan(self, problem: Problem) -> Plan:
        """Return placements in order of arrival."""
        allowed = feasibility(problem).matrix
        pairs, shares = expected(problem), shares_of(problem)
        references = best_of_each(pairs, allowed, problem.free_in_s[None, :])
        unlike = 1.0 - similarity_of(problem) + self.e
        slope = shares.latency / references.jct_s * unlike  # [J, R] per second
        cost = shares.cost / references.cost_usd * known_or_dearest(pairs.cost_usd, allowed) * unlike

        def choose(j: int, candidates: list[int], board: Board) -> int:
            return min(
                candidates,
                key=lambda r: float(slope[j, r] * (board.start_s(r) + pairs.runtime_s[j, r]) + cost[j, r]),
            )

        return plan_in_turn(problem, choose)
