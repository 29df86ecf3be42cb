"""`dnaml explain ID`: the table behind a placement: every candidate's time, cost and risk, and why it lost."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dnaml.answers.decisions import decision_value as decision_value
from dnaml.cli import amounts
from dnaml.cli.screen import Screen, table
from dnaml.cli.verbs import JobId, alone, verb

if TYPE_CHECKING:
    from rich.table import Table

    from dnaml.core.plan import Decision

app = alone()


@verb(app, example="dnaml explain 3f2a")
def explain(screen: Screen, job_id: JobId) -> None:
    """Show each candidate's time, cost and risk, and why it lost."""
    from dnaml.history import History

    history = History.read(screen.state)
    decision = history.decision(history.job(job_id).id)
    dates = {one.id: one.price_date for one in history.resources.values()}
    screen.answer(
        decision_value(decision),
        decision_table(decision),
        f"policy {decision.policy}, predicted by {decision.path}, decided {amounts.moment(decision.at_s)}",
        price_line([dates.get(one) for one in decision.resource_ids]),
    )


def decision_table(decision: "Decision") -> "Table":
    """Return the candidates for people, best first; the chosen one carries an arrow."""
    columns = ("", "resource", ">p10", ">p50", ">p90", ">wait", ">cost", ">risk", ">score", "why")
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
            amounts.UNKNOWN if row["score"] == float("inf") else f"{row['score']:.3f}",
            row["why"],
        )
        for row in decision_value(decision)["candidates"]
    ]
    return table("", columns, rows)


def price_line(dates: "Sequence[str | None]") -> str:
    """Say from when the prices behind an answer are."""
    known = sorted({date for date in dates if date})
    return f"prices from {', '.join(known)}" if known else "prices: as stated by you, or none"
