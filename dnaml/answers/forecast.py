"""When the jobs that have not ended are expected to start and end: the scheduler's own plan, played forward.

Each level of the band is played on its own (every runtime at its 10 %, 50 % or 90 % quantile together), so the outer
ends are wider than independent runtimes would give. Only slots are counted, not what else uses the machine.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dnaml.core.attempt import JobState
from dnaml.core.plan import Plan, Problem
from dnaml.core.protocols import Predictor
from dnaml.core.resource import Resource, Site
from dnaml.core.work import Objective

if TYPE_CHECKING:
    from dnaml.history import History, JobView

LEVELS = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """One unfinished job: where it runs or would run, and seconds from now to its start and end at LEVELS."""

    job_id: str
    resource_id: str | None
    start_in_s: tuple[float, ...]
    end_in_s: tuple[float, ...]
    reason: str

    def row(self, view: "JobView") -> dict[str, Any]:  # JSON values
        """Return the forecast beside the job it is of, as the command line and the service tell it."""
        return {
            "id": self.job_id,
            "name": view.job.name or view.computation.kernel,
            "state": view.state.value,
            "resource_id": self.resource_id,
            "start_in_s": max(0.0, self.start_in_s[1]),
            "end_in_s_p10": self.end_in_s[0],
            "end_in_s": self.end_in_s[1],
            "end_in_s_p90": self.end_in_s[2],
            "why": self.reason,
        }


def forecast(history: "History", predictor: Predictor, at_s: float) -> list[Forecast]:
    """Return the forecast of every job that has not ended, running ones first, then in the order of the plan."""
    from dnaml.schedule.matching import MatchingPolicy

    pool = tuple(one for one in history.resources.values() if one.site is Site.LOCAL)
    running = [view for view in history.jobs.values() if view.state is JobState.RUNNING and view.last is not None]
    waiting = [view for view in history.jobs.values() if view.state in (JobState.PENDING, JobState.RECOVERING)]
    if not pool:
        return [_unplaced(view, "no resource is known") for view in (*running, *waiting)]
    free, shown = _running(running, pool, predictor, at_s)
    if not waiting:
        return shown
    problem = Problem(
        at_s=at_s,
        jobs=tuple(view.job for view in waiting),
        computations=tuple(view.computation for view in waiting),
        resources=pool,
        free_in_s=np.array([free[1][one.id][0] for one in pool]),
        prediction=predictor.predict([view.computation for view in waiting], pool),
        objective=Objective.of("balanced"),
    )
    return [*shown, *_planned(problem, MatchingPolicy().plan(problem), waiting, free)]


Slots = Sequence[Mapping[str, list[float]]]  # for each level: resource id -> heap of seconds until each slot is free


def _running(
    views: "Sequence[JobView]", pool: Sequence[Resource], predictor: Predictor, at_s: float
) -> tuple[Slots, list[Forecast]]:
    busy: list[dict[str, list[float]]] = [{one.id: [] for one in pool} for _ in LEVELS]
    shown = []
    places = {one.id: r for r, one in enumerate(pool)}
    for view in views:
        last = view.last
        if last is None or last.placement.resource_id not in places:
            shown.append(_unplaced(view, "its resource is gone"))
            continue
        resource_id = last.placement.resource_id
        runtime = predictor.predict([view.computation], pool).runtime_s
        past_s = at_s - last.started_at_s
        ends = tuple(max(0.0, float(runtime.quantile(q)[0, places[resource_id]]) - past_s) for q in LEVELS)
        for level, end_s in zip(busy, ends, strict=True):
            level[resource_id].append(end_s)
        started = (-past_s,) * len(LEVELS)
        shown.append(
            Forecast(job_id=view.id, resource_id=resource_id, start_in_s=started, end_in_s=ends, reason="running")
        )
    return [_slots(level, pool) for level in busy], shown


def _slots(busy: Mapping[str, list[float]], pool: Sequence[Resource]) -> dict[str, list[float]]:
    slots = {}
    for one in pool:
        taken = sorted(busy[one.id], reverse=True)[: one.slots]
        slots[one.id] = taken + [0.0] * (one.slots - len(taken))
        heapq.heapify(slots[one.id])
    return slots


def _planned(problem: Problem, plan: Plan, waiting: "Sequence[JobView]", free: Slots) -> list[Forecast]:
    rows = {job.id: j for j, job in enumerate(problem.jobs)}
    columns = {one.id: r for r, one in enumerate(problem.resources)}
    shown: dict[str, Forecast] = {}
    for placement in plan.placements:
        if placement.job_id in shown:
            continue  # another copy of the same job
        starts, ends = [], []
        for level, slots in zip(LEVELS, free, strict=True):
            runtime_s = problem.prediction.runtime_s.quantile(level)[rows[placement.job_id]]
            start_s = heapq.heappop(slots[placement.resource_id])
            end_s = start_s + float(runtime_s[columns[placement.resource_id]])
            heapq.heappush(slots[placement.resource_id], end_s)
            starts.append(start_s)
            ends.append(end_s)
        shown[placement.job_id] = Forecast(
            job_id=placement.job_id,
            resource_id=placement.resource_id,
            start_in_s=tuple(starts),
            end_in_s=tuple(ends),
            reason="planned",
        )
    left = [_unplaced(view, plan.unplaced.get(view.id, "")) for view in waiting if view.id not in shown]
    return [*shown.values(), *left]


def _unplaced(view: "JobView", reason: str) -> Forecast:
    never = (float("nan"),) * len(LEVELS)
    return Forecast(job_id=view.id, resource_id=None, start_in_s=never, end_in_s=never, reason=reason)
