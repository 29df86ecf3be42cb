"""A4: one of four workers falls to a fifth of its speed; a copy of its work wins elsewhere, and little is redone."""

import os
import signal
import statistics
import threading
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.faults.calls import steps
from benchmarks.faults.local_case import executor_on, process_of, resources, seen, until
from benchmarks.faults.outcome import Bar, Outcome, Tier

ID = "A4"
RUNS = {Tier.QUICK: 1, Tier.SOAK: 20}

_WORKERS, _JOBS = 4, 7  # two waves, the second of which leaves a worker for the copy
_STEPS, _STEP_S = 150, 0.02
_PERIOD_S, _ON_SHARE = 0.05, 0.2


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Run two waves of jobs with and without a straggler in the second."""
    clean_s: list[float] = []
    slow_s: list[float] = []
    extra: list[float] = []
    lost = doubled = 0
    for number in range(runs):
        for straggles, makespans in ((False, clean_s), (True, slow_s)):
            home = folder / f"{number}-{straggles}"
            home.mkdir()
            makespans.append(_two_waves(home, straggles=straggles))
            told = seen(home)
            lost, doubled = lost + told.lost(), doubled + told.doubled + told.stale
        taken = len((home / "note").read_text().splitlines())
        extra.append(taken / ((_JOBS + 1) * _STEPS) - 1.0)
    ratios = [slow / clean for slow, clean in zip(slow_s, clean_s, strict=True)]
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="one of four workers at 20 % speed",
        lost=lost,
        duplicated=doubled,
        figures=(
            Bar(name="makespan_over_clean", value=statistics.median(ratios), unit="x", bar=1.3),
            Bar(name="extra_work", value=statistics.median(extra), unit="share", bar=0.1),
        ),
        extra={"clean_s": statistics.median(clean_s)},
    )


def _two_waves(folder: Path, *, straggles: bool) -> float:
    """Run the jobs on warm workers that know them; return the makespan."""
    note = str(folder / "note")
    with executor_on(folder, resources(_WORKERS)) as executor:
        executor.submit(steps, _STEPS, _STEP_S, note).result(60)
        begin_s = time.monotonic()
        futures = [executor.submit(steps, _STEPS, _STEP_S, note) for _ in range(_JOBS)]
        throttle = None
        if straggles:
            until(lambda: sum(future.done() for future in futures) >= _WORKERS)
            victim = next(future for future in futures if not future.done())
            throttle = _Throttle(process_of(executor, victim.job_id))
        assert [future.result(120) for future in futures] == [_STEPS] * _JOBS
        makespan_s = time.monotonic() - begin_s
        if throttle is not None:
            throttle.end()
    return makespan_s


class _Throttle:
    """Lets a process run for a fifth of the time, by SIGSTOP and SIGCONT."""

    def __init__(self, pid: int) -> None:
        self._pid, self._over = pid, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with suppress(ProcessLookupError):
            while not self._over.is_set():
                os.kill(self._pid, signal.SIGSTOP)
                self._over.wait(_PERIOD_S * (1.0 - _ON_SHARE))
                os.kill(self._pid, signal.SIGCONT)
                self._over.wait(_PERIOD_S * _ON_SHARE)

    def end(self) -> None:
        """Let the process go."""
        self._over.set()
        self._thread.join()
