"""Rows as the service gives them, for the tests of what is drawn from them."""

from typing import Any

from dnaml.answers.rows import AttemptRow, JobRow
from dnaml.core.plan import Decision
from dnaml.core.resource import Resource
from dnaml.dashboard.reads import Bar, JobNow, ResourceNow

NOW_S = 1_000_100.0


def resource_now(resource_id: str = "here", *, running: int = 0, available: bool = True, **more: Any) -> ResourceNow:
    """Return a resource that stands somehow; what belongs to the resource itself goes to it."""
    outer = {key: more.pop(key) for key in ("drivable", "here", "state") if key in more}
    resource = Resource(id=resource_id, **more)
    return ResourceNow(resource=resource, available=available, running=running, **{"drivable": True, **outer})


def job_row(job_id: str = "a-1", state: str = "SUCCEEDED", **more: Any) -> JobRow:
    """Return a job's row: submitted at 1,000,000 s, started after two seconds, three seconds long."""
    values: dict[str, Any] = {
        "id": job_id,
        "name": "fit",
        "computation_id": "fit@1",
        "state": state,
        "resource_id": "here",
        "submitted_at_s": 1_000_000.0,
        "started_at_s": 1_000_002.0,
        "ended_at_s": 1_000_005.0,
        "runtime_s": 3.0,
        "cost_usd": 0.5,
        "price_date": None,
        "attempts": 1,
        "error": None,
    }
    return JobRow(**{**values, **more})


def job_now(**more: Any) -> JobNow:
    """Return a job that ended well; what belongs to its row goes to it."""
    own = ("waits_because", "wanted", "result", "traceback", "repeat", "repeated_by", "now_s")
    outer = {key: more.pop(key) for key in own if key in more}
    values: dict[str, Any] = {
        "now_s": NOW_S,
        "waits_because": None,
        "wanted": {"computation": "fit@1"},
        "result": "6",
        "traceback": None,
        "repeat": None,
    }
    return JobNow(row=job_row(**more), **{**values, **outer})


def attempt_row(attempt_id: str = "a-1.1", state: str = "DONE", **more: Any) -> AttemptRow:
    """Return an attempt of three seconds."""
    values: dict[str, Any] = {
        "id": attempt_id,
        "resource_id": "here",
        "state": state,
        "started_at_s": 1_000_002.0,
        "ended_at_s": 1_000_005.0,
        "runtime_s": 3.0,
        "wall_s": 3.1,
        "peak_memory_bytes": 2**20,
        "cost_usd": 0.5,
        "checkpoints": 0,
        "error": None,
    }
    return AttemptRow(**{**values, **more})


def bar(attempt_id: str, started_at_s: float, ended_at_s: float | None, resource_id: str = "here", **more: Any) -> Bar:
    """Return one bar of the Gantt chart."""
    state = "RUNNING" if ended_at_s is None else "DONE"
    return Bar(
        **{
            "job_id": attempt_id.partition(".")[0],
            "name": "fit",
            "attempt_id": attempt_id,
            "resource_id": resource_id,
            "started_at_s": started_at_s,
            "ended_at_s": ended_at_s,
            "state": state,
            **more,
        }
    )


def decision(*names: str, chosen: str = "", scale: float = 1.0) -> Decision:
    """Return a decision among candidates: the k-th takes k times as long, costs k dollars and has k as its score."""
    count = range(1, len(names) + 1)
    return Decision(
        job_id="a-1",
        attempt_id="a-1.1",
        at_s=1_000_001.0,
        policy="matching",
        path="learned",
        chosen=chosen or names[0],
        resource_ids=names,
        runtime_p10_s=tuple(0.5 * k * scale for k in count),
        runtime_p50_s=tuple(1.0 * k * scale for k in count),
        runtime_p90_s=tuple(4.0 * k * scale for k in count),
        wait_s=tuple(0.0 for _ in count),
        cost_usd=tuple(float(k) for k in count),
        risk=tuple(0.01 for _ in count),
        score=tuple(float(k) for k in count),
        reasons=tuple("" for _ in count),
        terms={"latency": tuple(0.75 * k for k in count), "cost": tuple(0.25 * k for k in count)},
    )
