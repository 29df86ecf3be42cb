"""What a journal and those who submitted say together: jobs lost, results committed twice; and the child that works."""

import contextlib
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState
from dnaml.datasets.journal import SqlJournal


@dataclass(slots=True)
class Counted:
    """What became of the jobs that somebody was told are accepted."""

    accepted: set[str] = field(default_factory=set)
    ends: Counter[str] = field(default_factory=Counter)  # results of a live attempt, by job
    durations_s: list[float] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Return how many accepted jobs never had a result."""
        return sum(1 for job_id in self.accepted if not self.ends[job_id])

    @property
    def doubled(self) -> int:
        """Return how many results were committed beyond the first of their job."""
        return sum(count - 1 for count in self.ends.values() if count > 1)


def counted(folder: Path, url: str | None = None) -> Counted:
    """Read the journal, of the folder or at a URL, from its first event, and the ids that submitters noted."""
    found = Counted()
    with contextlib.suppress(FileNotFoundError):
        found.accepted = set((folder / "accepted.txt").read_text().split())
    live: dict[str, tuple[int, str, float]] = {}
    journal = SqlJournal(url or folder / "journal.sqlite", read_only=True, witness=folder / "journal.head")
    for event in journal.replay():
        if isinstance(event, ev.AttemptStarted):
            live[event.attempt_id] = (event.epoch, event.job_id, event.at_s)
        elif isinstance(event, ev.Resumed):
            live.clear()
        elif isinstance(event, ev.AttemptEnded):
            epoch, job_id, started_s = live.pop(event.attempt_id, (-1, "", 0.0))
            if epoch == event.epoch and event.outcome is AttemptState.DONE:
                found.ends[job_id] += 1
                found.durations_s.append(event.at_s - started_s)
    journal.abandon()
    return found


class Child:
    """An engine in a process of its own."""

    def __init__(self, folder: Path, *arguments: str, before: Sequence[str] = (), **environment: str) -> None:
        command = [*before, sys.executable, "-m", "benchmarks.faults.engine_child", str(folder), *arguments]
        env = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        self.ready_s: float | None = None

    def wait_ready(self) -> float | None:
        """Return the seconds that the folder took to open; None where it died before."""
        line = self.process.stdout.readline() if self.process.stdout else ""
        if line.startswith("ready"):
            self.ready_s = float(line.split()[1])
        return self.ready_s

    def end(self, number: int) -> tuple[int, float]:
        """Send a signal; return exit code and the seconds until it was gone."""
        began_s = time.monotonic()
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        code = self.process.wait(120)
        self._close()
        return code, time.monotonic() - began_s

    def wait(self, timeout_s: float = 300.0) -> int:
        """Wait until it leaves; return its exit code."""
        code = self.process.wait(timeout_s)
        self._close()
        return code

    def _close(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextlib.contextmanager
def child(folder: Path, *arguments: str, before: Sequence[str] = (), **environment: str) -> Iterator[Child]:
    """Run a child and make sure that it is gone at the end."""
    one = Child(folder, *arguments, before=before, **environment)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        one._close()
