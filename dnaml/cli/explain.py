"""`dnaml explain ID`: the table behind a placement: every candidate's time, cost and risk, and why it lost."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dnaml.cli import amounts
from dnaml.cli.screen import Screen, table
from dnaml.cli.verbs import JobId, alone, verb

if TYPE_CHECKING:
    from rich.table import Table

app = alone()


@verb(app, example="dnaml explain 3f2a", over="jobs:explain")
def explain(screen: Screen, job_id: JobId) -> None:
    """Show each candidate's time, cost and risk, and why it lost."""
    from dnaml.answers.decisions import decision_value
    from dnaml.history import History

    history = History.read(screen.state)
    decision = history.decision(history.job(job_id).id)
    show(screen, decision_value(decision), {one.id: one.price_date for one in history.resources.values()})


def show(screen: Screen, decision: Mapping[str, Any], dates: "Mapping[str, str | None]") -> None:  # JSON values
    """Answer with a decision; `dates` says of resources from when their prices are."""
    moment = amounts.moment(decision["at_s"])
    screen.answer(
        decision,
        decision_table(decision),
        *([terms_table(decision)] if any(row.get("terms") for row in decision["candidates"]) else []),
        f"policy {decision['policy']}, predicted by {decision['predicted_by']}, decided {moment}",
        price_line([dates.get(one["resource_id"]) for one in decision["candidates"]]),
    )


def decision_table(decision: Mapping[str, Any]) -> "Table":  # JSON values
    """Return the candidates for people, best first; the chosen one carries an arrow."""
    columns = ("", "resource", ">p10", ">p50", ">p90", "?>wait", ">cost", ">risk", "??>score", "why")
    rows = [
        (
            "→" if row["chosen"] else "",
            row["resource_id"],
            amounts.seconds(row["runtime_p10_s"]),
            amounts.seconds(row["runtime_p50_s"]),
            amounts.seconds(row["runtime_p90_s"]),
            amounts.seconds(row["wait_s"]),
            amounts.usd(row["cost_usd"]),
            amounts.share(row["risk"]),
            amounts.UNKNOWN if row["score"] in (None, float("inf")) else f"{row['score']:.3f}",
            row["why"],
        )
        for row in decision["candidates"]
    ]
    return table("", columns, rows)


def terms_table(decision: Mapping[str, Any]) -> "Table":  # JSON values
    """Return what the score of each candidate is made of: its terms, weighed and without units; lower is better."""
    names = sorted({name for row in decision["candidates"] for name in row.get("terms", {})})
    rows = [
        (
            "→" if row["chosen"] else "",
            row["resource_id"],
            *(f"{row['terms'][name]:.3f}" for name in names),
            f"{row['score']:.3f}",
        )
        for row in decision["candidates"]
        if row["score"] is not None and math.isfinite(row["score"])
    ]
    return table("what the score is made of", ("", "resource", *(f">{name}" for name in names), ">score"), rows)


def price_line(dates: "Sequence[str | None]") -> str:
    """Say from when the prices behind an answer are."""
    known = sorted({date for date in dates if date})
    return f"prices from {', '.join(known)}" if known else "prices: as stated by you, or none"
