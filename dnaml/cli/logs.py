"""`dnaml logs ID`: what a job's attempts wrote, byte for byte; `-f` goes on until the job ends."""

import sys
import time
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from dnaml.cli.screen import Screen
from dnaml.cli.verbs import JobId, alone, verb

app = alone()
_COPY_EVERY_S = 0.2
_LOOK_EVERY_S = 1.0
_CHUNK_BYTES = 1 << 20


@verb(app, example="dnaml logs 3f2a -f", over="jobs:logs")
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
    tail.look()
    tail.copy()
    while follow and not tail.over:
        until_s = time.monotonic() + _LOOK_EVERY_S
        while time.monotonic() < until_s:
            time.sleep(_COPY_EVERY_S)
            tail.copy()
        tail.look()
        tail.copy()


class Tail:
    """Copies what the attempts of a job wrote, oldest first, each byte once.

    `look` reads the journal for new attempts and their ends; `copy` only reads the logs known from it, which is cheap.
    """

    def __init__(self, state: Path, job_id: str, out: BinaryIO) -> None:
        self._state, self._job_id, self._out = state, job_id, out
        self._parts: list[tuple[Path, int | None]] = []  # of each attempt: its log, and where its part ends
        self._at: list[int] = []  # of each attempt: how far its log was copied
        self.attempts: set[str] = set()
        self.over = False

    def look(self) -> None:
        """Read from the journal which attempts there are, and whether the job is over."""
        from dnaml.cli.job_rows import OVER, history_now

        history = history_now(self._state)
        view = history.job(self._job_id)
        logged = [(attempt, attempt.log) for attempt in view.attempts if attempt.log is not None]
        self._parts = [(history.state.logs / log, attempt.log_end) for attempt, log in logged]
        self._at += [attempt.log_start for attempt, _ in logged[len(self._at) :]]
        self.attempts = {attempt.id for attempt in view.attempts}
        self.over = view.state in OVER

    def copy(self) -> None:
        """Copy what was written since the last time."""
        for place, (path, end) in enumerate(self._parts):
            with path.open("rb") as log:
                log.seek(self._at[place])
                while end is None or self._at[place] < end:
                    wanted = _CHUNK_BYTES if end is None else min(_CHUNK_BYTES, end - self._at[place])
                    if not (part := log.read(wanted)):
                        break
                    self._out.write(part)
                    self._at[place] += len(part)
        self._out.flush()
