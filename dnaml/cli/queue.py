"""`dnaml queue`: the jobs that have not ended, when each is expected to start and end, and what it waits for."""

import time
from collections.abc import Mapping
from typing import Any

from dnaml.cli import amounts
from dnaml.cli.screen import Screen, table
from dnaml.cli.verbs import alone, verb

app = alone()


@verb(app, example="dnaml queue", over="jobs:queue")
def queue(screen: Screen) -> None:
    """Show the jobs that have not ended, with their predicted start and end and a band of 10 to 90 %."""
    if not (screen.state / "journal.sqlite").exists():
        screen.answer({"engine_pid": None, "jobs": []}, f"no jobs in {screen.state}")
        return
    from dnaml.answers.forecast import forecast
    from dnaml.cli.job_rows import engine_pid, history_now
    from dnaml.cli.outlook import predictor_of

    history = history_now(screen.state)
    rows = [one.row(history.jobs[one.job_id]) for one in forecast(history, predictor_of(screen.state), time.time())]
    pid = engine_pid(screen.state)
    stands = f"the engine is process {pid}" if pid else "no engine runs: dnaml submit --resume goes on with these"
    show(screen, {"engine_pid": pid, "jobs": rows}, stands)


def show(screen: Screen, value: Mapping[str, Any], stands: str) -> None:  # JSON values
    """Answer with unfinished jobs; `stands` says who works on them."""
    columns = ("id", "name", "state", "?resource", ">starts in", "?>ends in", "??>p10", "??>p90", "why")
    shown = [
        (
            row["id"],
            row["name"],
            row["state"],
            row["resource_id"] or amounts.UNKNOWN,
            "now" if row["start_in_s"] == 0 else amounts.seconds(row["start_in_s"]),
            amounts.seconds(row["end_in_s"]),
            amounts.seconds(row["end_in_s_p10"]),
            amounts.seconds(row["end_in_s_p90"]),
            row["why"],
        )
        for row in value["jobs"]
    ]
    screen.answer(value, *([table("", columns, shown), stands] if shown else ["nothing waits and nothing runs"]))
