"""`dnaml logs ID`: what a job's attempts wrote, byte for byte; `-f` goes on until the job ends."""

import sys
import time
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from dnaml.cli.screen import Screen
from dnaml.cli.verbs import JobId, verb

if TYPE_CHECKING:
    from pathlib import Path

    from dnaml.history import JobView

app = typer.Typer()
_LOOK_EVERY_S = 0.5


@verb(app, example="dnaml logs 3f2a -f")
def logs(
    screen: Screen,
    job_id: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
) -> None:
    """Print what a job wrote to its output and error streams."""
    from dnaml.cli.job_rows import history_now

    history = history_now(screen.state)
    view = history.job(job_id)
    if screen.as_json:
        text = b"".join(history.log(view)).decode("utf-8", "replace")
        screen.answer({"id": view.id, "state": view.state.value, "log": text})
        return
    tail = Tail(screen.state, view.id, sys.stdout.buffer)
    while tail.copy() and follow:
        time.sleep(_LOOK_EVERY_S)


class Tail:
    """Copies what a job has written since the last look."""

    def __init__(self, state: "Path", job_id: str, out: BinaryIO) -> None:
        self._state, self._job_id, self._out = state, job_id, out
        self._copied_bytes = 0

    def copy(self) -> bool:
        """Copy what is new; return whether more may come."""
        from dnaml.cli.job_rows import OVER, history_now

        history = history_now(self._state)
        view: JobView = history.job(self._job_id)
        over = view.state in OVER
        written = b"".join(history.log(view))
        self._out.write(written[self._copied_bytes :])
        self._out.flush()
        self._copied_bytes = max(self._copied_bytes, len(written))
        return not over
