"""Queues of placements: when each starts and ends, and the plan that a list of choices makes.

Every policy ends here, so that all plans are built, ordered and scored alike.
"""

import heapq
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from dnaml.core.attempt import Placement
from dnaml.core.plan import Plan, Problem
from dnaml.core.work import Computation, Job
from dnaml.schedule.feasible import computations_of

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
Choice = tuple[int, int]
"""job row and resource column; a list of them is in start order for each resource"""


class Board:
    """Keeps when each slot of each resource is free, in seconds from now, while choices are made one by one."""

    def __init__(self, problem: Problem, free_in_s: FloatArray | None = None) -> None:
        free = problem.free_in_s if free_in_s is None else free_in_s
        self._free = [[float(at)] * r.slots for at, r in zip(free, problem.resources, strict=True)]
        self.count = [0] * len(self._free)

    def start_s(self, r: int) -> float:
        """Return when the next placement on a resource would start."""
        return self._free[r][0]

    def take(self, r: int, runtime_s: float) -> tuple[float, float]:
        """Place a run on a resource's next free slot and return its start and end."""
        start_s = self._free[r][0]
        end_s = start_s + runtime_s
        heapq.heapreplace(self._free[r], end_s)
        self.count[r] += 1
        return start_s, end_s


def completions(
    problem: Problem, choices: Sequence[Choice], runtime_s: FloatArray, free_in_s: FloatArray | None = None
) -> tuple[list[float], list[float]]:
    """Return start and end of each choice in seconds from now: each begins when a slot of its resource is free."""
    board = Board(problem, free_in_s)
    spans = [board.take(r, float(runtime_s[j, r])) for j, r in choices]
    return [start for start, _ in spans], [end for _, end in spans]


def copies_of(problem: Problem, allowed: BoolArray, runtime_s: FloatArray, choices: Sequence[Choice]) -> list[Choice]:
    """Return the further copies that jobs ask for, behind everything chosen so far.

    Each goes to a resource of its own, other failure domains first, then where it ends soonest; there are at most as
    many copies as allowed resources.
    """
    wanting = [(j, r) for j, r in choices if problem.jobs[j].resilience.replicas > 1]
    if not wanting:
        return []
    board = Board(problem)
    for j, r in choices:
        board.take(r, float(runtime_s[j, r]))
    copies = []
    for j, first in wanting:
        taken = [first]
        free = [r for r in np.flatnonzero(allowed[j]).tolist() if r != first]
        for _ in range(min(problem.jobs[j].resilience.replicas - 1, len(free))):
            domains = {problem.resources[r].domain for r in taken}
            ends = {r: board.start_s(r) + float(runtime_s[j, r]) for r in free}
            best = min(free, key=lambda r: (problem.resources[r].domain in domains, ends[r], r))
            board.take(best, float(runtime_s[j, best]))
            free.remove(best)
            taken.append(best)
            copies.append((j, best))
    return copies


def plan_of(
    problem: Problem,
    choices: Sequence[Choice],
    unplaced: Mapping[str, str],
    *,
    score: Mapping[str, float],
    bound: float | None = None,
    gap: float | None = None,
) -> Plan:
    """Return the plan of these choices; a job chosen several times has that many replicas."""
    copies: dict[int, int] = {}
    computations = computations_of(problem)
    placements = []
    for j, r in choices:
        replica = copies.get(j, 0)
        copies[j] = replica + 1
        placements.append(placement(problem.jobs[j], computations[j], problem.resources[r].id, replica))
    return Plan(placements=tuple(placements), unplaced=unplaced, score=score, bound=bound, gap=gap)


def placement(job: Job, computation: Computation, resource_id: str, replica: int) -> Placement:
    """Return the placement of a whole job (or one copy of it) with the checkpoint interval that it asked for."""
    wanted = job.resilience.checkpoint and computation.checkpointable
    return Placement(
        job_id=job.id,
        resource_id=resource_id,
        units=job.units[0],
        replica=replica,
        checkpoint_every_s=job.resilience.checkpoint_every_s if wanted else None,
    )


def figures(ends_s: Sequence[float], costs_usd: Sequence[float]) -> dict[str, float]:
    """Return the unweighed figures of a plan: mean completion time, makespan, and the cost that is known."""
    return {
        "mean_jct_s": sum(ends_s) / len(ends_s) if ends_s else 0.0,
        "makespan_s": max(ends_s, default=0.0),
        "cost_usd": sum(cost for cost in costs_usd if cost == cost),  # a NaN differs from itself
    }
