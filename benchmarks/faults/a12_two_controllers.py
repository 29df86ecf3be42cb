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
    lost = doubled = refused = late = 0
    recover_s: list[float] = []
    for run in range(runs):
        case = folder / f"run-{run}"
        case.mkdir()
        jobs = ("--jobs", str(_JOBS), "--task", "steps")
        with child(case, *jobs) as first:
            first.wait_ready()
            refused += _is_refused(case, first.process.pid)
            with child(case, "--finish", "--standby", str(_TAKE_OVER_AFTER_S)) as standby:
                os.kill(first.process.pid, signal.SIGSTOP)
                began_s = time.monotonic()
                standby.wait_ready()
                recover_s.append(time.monotonic() - began_s)
                before = _events(case)
                os.kill(first.process.pid, signal.SIGCONT)
                standby.wait()
            first.end(signal.SIGTERM)
        found = counted(case)
        lost, doubled = lost + found.lost, doubled + found.doubled
        late += _events(case) < before
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


def _is_refused(folder: Path, pid: int) -> bool:
    """Say whether another engine is refused and told the process that holds the folder."""
    code = f"import dnaml; dnaml.Executor(state={str(folder)!r})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return "StateInUseError" in ended.stderr and str(pid) in ended.stderr


def _events(folder: Path) -> int:
    journal = SqlJournal(folder / "journal.sqlite", read_only=True, witness=folder / "journal.head")
    try:
        return sum(1 for _ in journal.replay())
    finally:
        journal.abandon()
