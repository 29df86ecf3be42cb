"""Cheapest first: each job goes to the resource with the lowest price by the hour, whatever waits there."""

from dataclasses import dataclass

from dnaml.core.plan import Plan, Problem
from dnaml.schedule.policies.in_turn import plan_in_turn
from dnaml.schedule.queues import Board


@dataclass(frozen=True, slots=True, kw_only=True)
class CheapestPolicy:
    """Looks at the price list alone; unknown prices come last, equal prices take turns."""

    name: str = "cheapest"

    def plan(self, problem: Problem) -> Plan:
        """Return placements in order of arrival."""
        listed = [resource.price_usd_per_h for resource in problem.resources]
        price = [float("inf") if value is None else value for value in listed]

        def choose(j: int, candidates: list[int], board: Board) -> int:
            return min(candidates, key=lambda r: (price[r], board.count[r]))

        return plan_in_turn(problem, choose)
