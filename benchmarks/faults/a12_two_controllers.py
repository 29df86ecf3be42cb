"""A12: two controllers on one folder: the second is refused or waits; a frozen first that wakes up commits nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.faults.history import child, counted
from benchmarks.faults.outcome import Bar, Outcome, Tier
from dnaml.datasets.journal import SqlJournal

ID = "A12"
RUNS = {Tier.QUICK: 1, Tier.SOAK: 20}
_JOBS = 40
_TAKE_OVER_AFTER_S = 2.5


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Freeze an engine under load, let a standby take over and finish, wake the first and look at what it commits."""
    return measure_on(None, runs, seed, folder)


def measure_on(url: str | None, runs: int, seed: int, folder: Path) -> Outcome:
    """Do so with the journal in the folder, or once with that in an empty database of PostgreSQL."""
    lost = doubled = refused = late = 0
    recover_s: list[float] = []
    for run in range(runs):
        case = folder / f"run-{run}"
        case.mkdir()
        jobs, where = ("--jobs", str(_JOBS), "--task", "steps"), {"DNAML_JOURNAL": url or ""}
        with child(case, *jobs, **where) as first:
            first.wait_ready()
            refused += _is_refused(case, first.process.pid, where)
            with child(case, "--finish", "--standby", str(_TAKE_OVER_AFTER_S), **where) as standby:
                os.kill(first.process.pid, signal.SIGSTOP)
                began_s = time.monotonic()
                standby.wait_ready()
                recover_s.append(time.monotonic() - began_s)
                before = _events(case, url)
                os.kill(first.process.pid, signal.SIGCONT)
                standby.wait()
            first.end(signal.SIGTERM)
        found = counted(case, url)
        lost, doubled = lost + found.lost, doubled + found.doubled
        late += _events(case, url) < before
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="a frozen controller that wakes up after a standby took over",
        recover_s=tuple(recover_s),
        lost=lost,
        duplicated=doubled,
        figures=(
            Bar(name="second_engines_not_refused", value=float(runs - refused), unit="", bar=0.0),
            Bar(name="journals_that_shrank", value=float(late), unit="", bar=0.0),
        ),
    )


def _is_refused(folder: Path, pid: int, where: dict[str, str]) -> bool:
    """Say whether another engine is refused and told the process that holds the folder."""
    code = f"import dnaml; dnaml.Executor(state={str(folder)!r})"
    env = {**os.environ, **where}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    return "StateInUseError" in ended.stderr and str(pid) in ended.stderr


def _events(folder: Path, url: str | None) -> int:
    journal = SqlJournal(url or folder / "journal.sqlite", read_only=True, witness=folder / "journal.head")
    try:
        return sum(1 for _ in journal.replay())
    finally:
        journal.abandon()
