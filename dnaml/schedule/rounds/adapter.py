"""A round policy behind the engine's seam: `Problem` in, `Plan` out.

A resource of the problem is a pool of its slots and a job's smallest gang its units, so column r of the round is
resource r. The plan is the policy played ahead: what it starts now comes first on each resource, then what it would
start when units become free. A policy's memory does not outlive one plan.
"""

from dataclasses import dataclass, replace

import numpy as np

from dnaml.core.attempt import Placement
from dnaml.core.plan import Plan, Problem
from dnaml.schedule.feasible import feasibility, time_left_s
from dnaml.schedule.rounds.round import LEAST_S, NONE, Allocation, FloatArray, IntArray, Round, RoundPolicy
from dnaml.schedule.rounds.window import only

_ROUND_S = 60.0
Start = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class AsPolicy:
    """Plans with a round policy; a job that its rounds never start waits for its fastest resource."""

    rounds: RoundPolicy

    @property
    def name(self) -> str:
        """Return the round policy's name."""
        return self.rounds.name

    def plan(self, problem: Problem) -> Plan:
        """Return placements in start order; further copies of a job go to its next fastest resources."""
        now, feasible = round_of(problem), feasibility(problem)
        starts: list[Start] = []
        first = Allocation(choice=now.held)
        if problem.resources:
            starts, first = played(self.rounds, now, problem.free_in_s)
        placements = []
        for j, r in starts:
            job = problem.jobs[j]
            others = [int(k) for k in np.argsort(now.left_s[j], kind="stable") if feasible.matrix[j, k] and k != r]
            for replica, k in enumerate([r, *others][: job.resilience.replicas]):
                resource_id = problem.resources[k].id
                placements.append(
                    Placement(job_id=job.id, resource_id=resource_id, units=job.units[0], replica=replica)
                )
        left_out = np.flatnonzero(~feasible.matrix.any(axis=1))
        return Plan(
            placements=tuple(placements),
            unplaced={problem.jobs[j].id: feasible.why_unplaced(int(j)) for j in left_out},
            score={} if first.score is None else {"objective": first.score},
            bound=first.bound,
            gap=first.gap,
        )


def as_policy(rounds: RoundPolicy) -> AsPolicy:
    """Return a round policy as a `Policy` of the engine."""
    return AsPolicy(rounds=rounds)


def played(rounds: RoundPolicy, now: Round, free_in_s: FloatArray) -> tuple[list[Start], Allocation]:
    """Return every job that can run with its column, in order of start, and what the policy said first.

    Nobody is preempted; a resource offers nothing before `free_in_s`.
    """
    busy = [(float(wait_s), r, int(now.capacity[r])) for r, wait_s in enumerate(free_in_s) if wait_s > 0]
    waiting = np.flatnonzero(now.feasible.any(axis=1))
    starts: list[Start] = []
    first: Allocation | None = None
    clock_s = 0.0
    while first is None or (len(waiting) and busy):
        if first is not None:
            clock_s = min(end_s for end_s, _, _ in busy)
            busy = [one for one in busy if one[0] > clock_s]
        view = _narrowed(now, waiting, busy, clock_s)
        said = rounds.allocate(view)
        first = first or said
        for i in np.flatnonzero(said.choice != NONE):
            j, k = int(waiting[i]), int(said.choice[i])
            starts.append((j, k))
            busy.append((clock_s + float(now.left_s[j, k]), k, int(now.units[j, k])))
        waiting = waiting[said.choice == NONE]
    left_s = np.where(now.feasible, now.left_s, np.inf)
    return [*starts, *((int(j), int(left_s[j].argmin())) for j in waiting)], first


def _narrowed(now: Round, rows: IntArray, busy: list[tuple[float, int, int]], clock_s: float) -> Round:
    """Return the round of some jobs at a later time, with the units that are busy then taken away."""
    free = now.capacity.copy()
    for _, pool, units in busy:
        free[pool] -= units
    return replace(only(now, rows), at_s=now.at_s + clock_s, capacity=free)


def round_of(problem: Problem) -> Round:
    """Return the round that a problem describes, as if nothing ran."""
    resources, jobs = problem.resources, problem.jobs
    allowed = feasibility(problem).matrix
    left_s = np.where(allowed, np.maximum(problem.prediction.runtime_s.mean(), LEAST_S), np.inf)
    gang = np.array([[job.units[0]] for job in jobs], dtype=np.int64).reshape(len(jobs), 1)
    deadline_s = [problem.at_s + time_left_s(problem, job) for job in jobs]
    return Round(
        at_s=problem.at_s,
        round_s=_ROUND_S,
        numbers=np.arange(len(jobs)),
        left_s=left_s,
        whole_s=left_s,
        speed=1.0 / left_s,
        units=np.repeat(gang, len(resources), axis=1),
        pool=np.arange(len(resources)),
        capacity=np.array([resource.slots for resource in resources], dtype=np.int64),
        price_usd_per_h=np.array([resource.price_usd_per_h or 0.0 for resource in resources], dtype=float),
        held=np.full(len(jobs), NONE),
        arrived_s=np.array([job.submitted_at_s for job in jobs], dtype=float),
        deadline_s=np.array(deadline_s, dtype=float),
        weight=np.ones(len(jobs)),
        restart_s=np.zeros(len(jobs)),
        starts=np.zeros(len(jobs), dtype=np.int64),
        restarting=np.zeros(len(jobs), dtype=bool),
        served_s=np.zeros(left_s.shape),
        objective=problem.objective,
        seed=problem.seed,
    )
