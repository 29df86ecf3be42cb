"""Round robin: each job goes to the resource after the one that got the last."""

from dataclasses import dataclass

from dnaml.core.plan import Plan, Problem
from dnaml.schedule.policies.in_turn import plan_in_turn
from dnaml.schedule.queues import Board


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRobinPolicy:
    """Goes round the resources in their order, on from where the newest running attempt is."""

    name: str = "round_robin"

    def plan(self, problem: Problem) -> Plan:
        """Return placements in order of arrival."""
        width = len(problem.resources)
        last = _newest(problem)

        def choose(j: int, candidates: list[int], board: Board) -> int:
            nonlocal last
            last = min(candidates, key=lambda r: (r - last - 1) % width)
            return last

        return plan_in_turn(problem, choose)


def _newest(problem: Problem) -> int:
    """Return the column of the resource that started an attempt last, -1 if none runs."""
    columns = {resource.id: r for r, resource in enumerate(problem.resources)}
    started = [
        (attempt.started_at_s or 0.0, attempt.id, columns[attempt.placement.resource_id])
        for attempt in problem.running
        if attempt.placement.resource_id in columns
    ]
    return max(started)[2] if started else -1
