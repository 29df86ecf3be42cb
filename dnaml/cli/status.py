"""`dnaml status`: every job of the state folder, or one with its attempts and what had been predicted."""

from typing import Annotated, Any

import typer

from dnaml.cli import amounts
from dnaml.cli.screen import Screen
from dnaml.cli.verbs import alone, verb

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
    screen.answer(rows, job_table(rows), f"{len(rows)} of {len(history.jobs)} jobs")


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
    shown = [job_table([row]), *([attempt_table(tries)] if tries else [])]
    if predicted is not None:
        band = f"{amounts.seconds(predicted['runtime_p10_s'])} to {amounts.seconds(predicted['runtime_p90_s'])}"
        middle = amounts.seconds(predicted["runtime_p50_s"])
        shown_line = f"predicted {middle} ({band}), {amounts.usd(predicted['cost_usd'])}, by {predicted['by']}"
        screen.answer({"job": row, "attempts": tries, "predicted": predicted}, *shown, shown_line)
    else:
        screen.answer({"job": row, "attempts": tries, "predicted": None}, *shown)
