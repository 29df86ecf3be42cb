"""`dnaml cancel ID`: asks the engine that runs to stop a job, or withdraws it where no engine runs."""

from typing import TYPE_CHECKING, Annotated

import typer

from dnaml.cli.screen import Screen
from dnaml.cli.verbs import JobId, alone, verb
from dnaml.core.errors import StateInUseError

if TYPE_CHECKING:
    from pathlib import Path

    from dnaml.datasets.state import StateFolder

app = alone()


@verb(app, example="dnaml cancel 3f2a --wait 30", over="jobs:cancel")
def cancel(
    screen: Screen,
    job_id: JobId,
    wait: Annotated[float, typer.Option(min=0, help="Wait so many seconds for its end.")] = 10.0,
) -> int:
    """Ask that a job end without a result; exit code 1 if it has not ended after the wait."""
    from dnaml.cli.job_rows import OVER, open_job, watched

    view = open_job(screen.state, job_id)
    _ask(screen.state, view.id)
    with screen.working(f"waiting for the end of {view.id}"):
        view = watched(screen.state, view, wait)
    return show(screen, view.id, view.state.value, over=view.state in OVER)


def show(screen: Screen, job_id: str, state: str, *, over: bool) -> int:
    """Answer with what became of a job that was asked to end; return the exit code."""
    line = f"{job_id} is {state}" if over else f"{job_id} was asked to stop and is still {state}"
    screen.answer({"id": job_id, "state": state, "ended": over}, line)
    return 0 if over else 1


def _ask(state: "Path", job_id: str) -> None:
    from dnaml.datasets.state import StateFolder
    from dnaml.history import request_cancel

    folder = StateFolder(state)
    try:
        folder.lock()
    except StateInUseError:
        request_cancel(state, job_id)
        return
    try:
        _withdraw(folder, job_id)
    finally:
        folder.unlock()


def _withdraw(folder: "StateFolder", job_id: str) -> None:
    """Write the cancellation into the journal of an engine that has ended, at the time of its last event."""
    from dnaml.core import events as ev
    from dnaml.datasets.migrations import open_journal

    journal = open_journal(folder)
    at_s = max((event.at_s for event in journal.replay()), default=0.0)
    for event in (
        ev.Resumed(at_s=at_s),  # what ran is gone with the old engine
        ev.CancelRequested(at_s=at_s, job_id=job_id, running=True),
        ev.Settled(at_s=at_s),
    ):
        journal.append(event)
    journal.close()
