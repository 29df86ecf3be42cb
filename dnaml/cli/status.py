"""`dnaml status`: every job of the state folder, or one with its attempts and what had been predicted."""

from dataclasses import asdict
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dnaml.cli import amounts
from dnaml.cli.screen import Screen
from dnaml.cli.verbs import alone, verb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from dnaml.cli.job_rows import JobRow

app = alone()


@verb(app, example="dnaml status   or   dnaml status 3f2a")
def status(
    screen: Screen,
    job_id: Annotated[str | None, typer.Argument(metavar="ID", help="A job's id, or the beginning of one.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show so many, the newest.")] = 50,
) -> None:
    """Show jobs, or one job with its attempts; no engine is needed."""
    from dnaml.cli.job_rows import history_now, job_row, job_table

    if job_id is not None:
        _one(screen, job_id)
        return
    if not (screen.state / "journal.sqlite").exists():
        screen.answer([], f"no jobs in {screen.state}")
        return
    history = history_now(screen.state)
    rows = [job_row(view, history) for view in list(history.jobs.values())[-limit:]]
    told, lines = _degraded(screen.state, rows)
    answer = [{**asdict(row), "degraded": one} for row, one in zip(rows, told, strict=True)]
    screen.answer(answer, job_table(rows), f"{len(rows)} of {len(history.jobs)} jobs", *lines)


def _one(screen: Screen, job_id: str) -> None:
    from dnaml.cli.job_rows import attempt_row, attempt_table, history_now, job_row, job_table
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
    (degraded,), lines = _degraded(screen.state, [row])
    shown: list[RenderableType] = [job_table([row]), *([attempt_table(tries)] if tries else []), *lines]
    if predicted is not None:
        band = f"{amounts.seconds(predicted['runtime_p10_s'])} to {amounts.seconds(predicted['runtime_p90_s'])}"
        middle = amounts.seconds(predicted["runtime_p50_s"])
        shown_line = f"predicted {middle} ({band}), {amounts.usd(predicted['cost_usd'])}, by {predicted['by']}"
        shown.append(shown_line)
    screen.answer({"job": row, "attempts": tries, "predicted": predicted, "degraded": degraded}, *shown)


def _degraded(state: Path, rows: "Sequence[JobRow]") -> tuple[list[list[str]], list[str]]:
    """Return what is degraded now about each job, as far as its engine runs, and all of it in lines for people."""
    from dnaml.cli.job_rows import OVER, engine_pid

    try:
        health = loads((state / "health.json").read_bytes()) if engine_pid(state) is not None else {}
    except (FileNotFoundError, ValueError):  # nothing is degraded, or the engine is just writing
        health = {}
    drifted = {
        kind: {name: f"{name} has drifted: {left} more runs until it is known again" for name, left in found.items()}
        for kind, found in ((kind, health.get(kind, {})) for kind in ("resources", "computations"))
    }
    reasons = health.get("reasons", [])
    ladder = [f"predictions come from {health['rung']} ({'; '.join(reasons)})"] if reasons else []
    over = {one.value for one in OVER}
    told = [
        [
            *([drifted["resources"][row.resource_id]] if row.resource_id in drifted["resources"] else []),
            *([drifted["computations"][row.computation_id]] if row.computation_id in drifted["computations"] else []),
            *([] if row.state in over else ladder),
        ]
        for row in rows
    ]
    return told, [f"degraded: {one}" for kind in drifted.values() for one in kind.values()] + [
        f"degraded: {one}" for one in ladder
    ]
