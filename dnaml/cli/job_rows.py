"""Jobs of the history for the verbs: as rows of a table, and watched until something becomes of them."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dnaml.answers.rows import OVER as OVER
from dnaml.answers.rows import AttemptRow as AttemptRow
from dnaml.answers.rows import JobRow as JobRow
from dnaml.answers.rows import attempt_row as attempt_row
from dnaml.answers.rows import engine_pid as engine_pid
from dnaml.answers.rows import history_now as history_now
from dnaml.answers.rows import job_row as job_row
from dnaml.cli import amounts
from dnaml.cli.screen import table
from dnaml.core.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from dnaml.history import JobView

_LOOK_EVERY_S = 0.3


def open_job(state: Path, job_id: str) -> "JobView":
    """Return a job as it stands now; raise InputError if it has ended."""
    view = history_now(state).job(job_id)
    if view.state in OVER:
        raise InputError(f"job {view.id}: has already ended, it is {view.state.value}")
    return view


def watched(
    state: Path, view: "JobView", wait_s: float, is_done: Callable[["JobView"], bool] = lambda view: False
) -> "JobView":
    """Return the newest view of a job: once it has ended or `is_done` holds of it, or after the wait."""
    until_s = time.monotonic() + wait_s
    while view.state not in OVER and not is_done(view) and time.monotonic() < until_s:
        time.sleep(_LOOK_EVERY_S)
        view = history_now(state).job(view.id)
    return view


def job_table(rows: Sequence[JobRow]) -> "Table":
    """Return the table of jobs for people."""
    columns = ("id", "name", "state", "?resource", "???submitted", "?>runtime", "??>cost", "???>attempts", "error")
    shown = [
        (
            row.id,
            row.name,
            row.state,
            row.resource_id or amounts.UNKNOWN,
            amounts.moment(row.submitted_at_s),
            amounts.seconds(row.runtime_s),
            amounts.usd(row.cost_usd),
            row.attempts,
            _first_line(row.error),
        )
        for row in rows
    ]
    return table("", columns, shown)


def attempt_table(rows: Sequence[AttemptRow]) -> "Table":
    """Return the table of one job's attempts for people."""
    timed = ("???started", "?>runtime", "???>wall")
    columns = ("attempt", "resource", "state", *timed, "??>memory", "??>cost", "???>saved", "error")
    shown = [
        (
            row.id,
            row.resource_id,
            row.state,
            amounts.moment(row.started_at_s),
            amounts.seconds(row.runtime_s),
            amounts.seconds(row.wall_s),
            amounts.size(row.peak_memory_bytes),
            amounts.usd(row.cost_usd),
            row.checkpoints,
            _first_line(row.error),
        )
        for row in rows
    ]
    return table("", columns, shown)


def _first_line(error: str | None) -> str:
    return (error or "").split("\n", 1)[0]
