"""Highest clock first: each job goes to the resource with the highest clock, whatever waits there."""

from dataclasses import dataclass

from dnaml.core.plan import Plan, Problem
from dnaml.schedule.policies.in_turn import plan_in_turn
from dnaml.schedule.queues import Board

_CLOCKS = ("clock_boost_hz", "clock_average_hz", "clock_nominal_hz")


@dataclass(frozen=True, slots=True, kw_only=True)
class HighestClockPolicy:
    """Looks at the data sheet alone; unknown clocks come last, equal clocks take turns."""

    name: str = "highest_clock"

    def plan(self, problem: Problem) -> Plan:
        """Return placements in order of arrival."""
        clock_hz = [max(resource.spec.get(key, 0.0) for key in _CLOCKS) for resource in problem.resources]

        def choose(j: int, candidates: list[int], board: Board) -> int:
            return min(candidates, key=lambda r: (-clock_hz[r], board.count[r]))

        return plan_in_turn(problem, choose)
