"""`dnaml status`: every job of the state folder, or one with its attempts and what had been predicted."""

from dataclasses import asdict
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dnaml.answers.degraded import Degraded
from dnaml.cli import amounts
from dnaml.cli.screen import Screen
from dnaml.cli.verbs import alone, verb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from dnaml.cli.job_rows import AttemptRow, JobRow

app = alone()


@verb(app, example="dnaml status   or   dnaml status 3f2a", over="jobs:status")
def status(
    screen: Screen,
    job_id: Annotated[str | None, typer.Argument(metavar="ID", help="A job's id, or the beginning of one.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show so many, the newest.")] = 50,
) -> None:
    """Show jobs, or one job with its attempts; no engine is needed."""
    from dnaml.cli.job_rows import history_now, job_row

    if job_id is not None:
        _one(screen, job_id)
        return
    if not (screen.state / "journal.sqlite").exists():
        screen.answer([], f"no jobs in {screen.state}")
        return
    history = history_now(screen.state)
    rows = [job_row(view, history) for view in list(history.jobs.values())[-limit:]]
    degraded = Degraded(_health(screen.state))
    lines = [f"degraded: {one}" for one in degraded.all()]
    show_jobs(screen, rows, [degraded.of(row) for row in rows], len(history.jobs), lines)


def show_jobs(
    screen: Screen, rows: "Sequence[JobRow]", degraded: "Sequence[list[str]]", total: int, lines: "Sequence[str]"
) -> None:
    """Answer with jobs, oldest first."""
    from dnaml.cli.job_rows import job_table

    answer = [{**asdict(row), "degraded": one} for row, one in zip(rows, degraded, strict=True)]
    screen.answer(answer, job_table(rows), f"{len(rows)} of {total} jobs", *lines)


def _one(screen: Screen, job_id: str) -> None:
    from dnaml.cli.job_rows import attempt_row, history_now, job_row
    from dnaml.core.errors import NotFoundError

    history = history_now(screen.state)
    view = history.job(job_id)
    row = job_row(view, history)
    tries = [attempt_row(attempt, history.resources) for attempt in view.attempts]
    try:
        decision = history.decision(view.id)
        place = decision.resource_ids.index(decision.chosen)
        predicted: dict[str, Any] | None = {  # JSON values
            "runtime_p10_s": decision.runtime_p10_s[place],
            "runtime_p50_s": decision.runtime_p50_s[place],
            "runtime_p90_s": decision.runtime_p90_s[place],
            "cost_usd": decision.cost_usd[place],
            "by": decision.path,
        }
    except NotFoundError:
        predicted = None
    degraded = Degraded(_health(screen.state))
    show_job(screen, row, tries, predicted, degraded.of(row), [f"degraded: {one}" for one in degraded.all()])


def show_job(
    screen: Screen,
    row: "JobRow",
    tries: "Sequence[AttemptRow]",
    predicted: "Mapping[str, Any] | None",  # JSON values
    degraded: list[str],
    lines: "Sequence[str]",
) -> None:
    """Answer with one job, its attempts and what had been predicted."""
    from dnaml.cli.job_rows import attempt_table, job_table

    shown: list[RenderableType] = [job_table([row]), *([attempt_table(tries)] if tries else []), *lines]
    if predicted is not None:
        band = f"{amounts.seconds(predicted['runtime_p10_s'])} to {amounts.seconds(predicted['runtime_p90_s'])}"
        middle = amounts.seconds(predicted["runtime_p50_s"])
        shown.append(f"predicted {middle} ({band}), {amounts.usd(predicted['cost_usd'])}, by {predicted['by']}")
    screen.answer({"job": row, "attempts": tries, "predicted": predicted, "degraded": degraded}, *shown)


def _health(state: Path) -> dict[str, Any]:  # JSON values
    """Return what the engine of a state folder says is degraded, nothing where none runs."""
    from dnaml.cli.job_rows import engine_pid

    try:
        return dict(loads((state / "health.json").read_bytes())) if engine_pid(state) is not None else {}
    except (FileNotFoundError, ValueError):  # nothing is degraded, or the engine is just writing
        return {}
