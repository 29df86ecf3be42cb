"""Random: each job goes to any resource that it may take, all alike."""

import hashlib
from dataclasses import dataclass

from dnaml.core.plan import Plan, Problem
from dnaml.schedule.policies.in_turn import plan_in_turn
from dnaml.schedule.queues import Board


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomPolicy:
    """Draws a resource for each job from the problem's seed and the job's id, so that equal problems plan alike."""

    name: str = "random"

    def plan(self, problem: Problem) -> Plan:
        """Return placements in order of arrival."""

        def choose(j: int, candidates: list[int], board: Board) -> int:
            text = f"{problem.seed}/{problem.jobs[j].id}".encode()
            drawn = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
            return candidates[drawn % len(candidates)]

        return plan_in_turn(problem, choose)
