"""One job or attempt of the history in figures: what the command line and the service tell of it."""

import fcntl
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dnaml.core.attempt import AttemptState, JobState, Usage
from dnaml.core.resource import Resource

if TYPE_CHECKING:
    from dnaml.history import AttemptView, History, JobView

OVER = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One attempt in figures; what is not known is None."""

    id: str
    resource_id: str
    state: str
    started_at_s: float
    ended_at_s: float | None
    runtime_s: float | None
    wall_s: float | None
    peak_memory_bytes: int | None
    cost_usd: float | None
    checkpoints: int
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One job in figures: `runtime_s` is that of its last attempt on its own clock, `cost_usd` that of all."""

    id: str
    name: str
    computation_id: str
    state: str
    resource_id: str | None
    submitted_at_s: float
    started_at_s: float | None
    ended_at_s: float | None
    runtime_s: float | None
    cost_usd: float | None
    price_date: str | None
    attempts: int
    error: str | None


def history_now(state: Path) -> "History":
    """Return the jobs of a state folder; where no engine holds it, what was running is not running any more."""
    from dnaml.history import History

    history = History.read(state)
    if engine_pid(state) is None:
        for view in history.jobs.values():
            if view.state is JobState.RUNNING:
                view.state = JobState.RECOVERING
                for attempt in view.attempts:
                    if attempt.state is AttemptState.RUNNING:
                        attempt.state, attempt.error = AttemptState.LOST, "its engine ended"
    return history


def engine_pid(state: Path) -> int | None:
    """Return the process id of the engine that holds a state folder, None where none does.

    The lock is tried only where the process it names is there, so that looking never keeps an engine from starting.
    """
    try:
        with (state / "engine.lock").open("rb") as lock:
            pid = int(lock.read(32) or 0)
            if not pid or not _is_there(pid):
                return None
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return pid
    except FileNotFoundError:
        return None
    return None


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def job_row(view: "JobView", history: "History") -> JobRow:
    """Return a job's row."""
    last = view.last
    tries = [attempt_row(attempt, history.resources) for attempt in view.attempts]
    costs = [attempt.cost_usd for attempt in tries if attempt.cost_usd is not None]
    resource = history.resources.get(last.placement.resource_id) if last else None
    return JobRow(
        id=view.id,
        name=view.job.name or view.computation.kernel,
        computation_id=view.computation.id,
        state=view.state.value,
        resource_id=last.placement.resource_id if last else None,
        submitted_at_s=view.job.submitted_at_s,
        started_at_s=tries[0].started_at_s if tries else None,
        ended_at_s=view.ended_at_s,
        runtime_s=tries[-1].runtime_s if tries else None,
        cost_usd=sum(costs) if costs else None,
        price_date=resource.price_date if resource else None,
        attempts=len(tries),
        error=view.error,
    )


def attempt_row(attempt: "AttemptView", resources: Mapping[str, Resource]) -> AttemptRow:
    """Return an attempt's row."""
    usage = attempt.usage
    return AttemptRow(
        id=attempt.id,
        resource_id=attempt.placement.resource_id,
        state=attempt.state.name,
        started_at_s=attempt.started_at_s,
        ended_at_s=attempt.ended_at_s,
        runtime_s=usage.runtime_s if usage else None,
        wall_s=usage.wall_s if usage else None,
        peak_memory_bytes=usage.peak_memory_bytes if usage else None,
        cost_usd=_cost_usd(usage, resources.get(attempt.placement.resource_id)),
        checkpoints=attempt.checkpoints,
        error=attempt.error,
    )


def _cost_usd(usage: Usage | None, resource: Resource | None) -> float | None:
    """Return what an attempt cost, by the rule that predictions use."""
    if usage is None or resource is None or resource.price_usd_per_h is None:
        return None
    import numpy as np

    from dnaml.predict.outcomes import costs_usd

    return float(costs_usd(np.full((1, 1, 1), usage.runtime_s), (resource,))[0, 0, 0])
