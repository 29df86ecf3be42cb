"""First in, first out: each job in order of arrival goes to the resource that is free first."""

from dataclasses import dataclass

from dnaml.core.plan import Plan, Problem
from dnaml.schedule.policies.in_turn import plan_in_turn
from dnaml.schedule.queues import Board


@dataclass(frozen=True, slots=True, kw_only=True)
class FifoPolicy:
    """Keeps every resource busy and asks no more: how fast a resource is for the job does not count."""

    name: str = "fifo"

    def plan(self, problem: Problem) -> Plan:
        """Return placements in order of arrival."""

        def choose(j: int, candidates: list[int], board: Board) -> int:
            return min(candidates, key=board.start_s)

        return plan_in_turn(problem, choose)
