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

FloatArray = npt.NDArray[np.float64]
Choice = tuple[int, int]
"""job row and resource column; a list of them is in start order for each resource"""


def completions(
    choices: Sequence[Choice], runtime_s: FloatArray, free_in_s: FloatArray, slots: Sequence[int]
) -> tuple[list[float], list[float]]:
    """Return start and end of each choice in seconds from now: each begins when a slot of its resource is free."""
    free = [[float(at)] * count for at, count in zip(free_in_s, slots, strict=True)]
    starts, ends = [], []
    for j, r in choices:
        start_s = free[r][0]
        end_s = start_s + float(runtime_s[j, r])
        heapq.heapreplace(free[r], end_s)
        starts.append(start_s)
        ends.append(end_s)
    return starts, ends


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
