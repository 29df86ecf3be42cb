"""A18: twice as many busy processes as cores, and code that holds the interpreter's lock; nobody is taken for dead."""

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.faults.calls import burns, holds_the_lock, waits
from benchmarks.faults.local_case import executor_on, resources, seen
from benchmarks.faults.outcome import Bar, Outcome, Tier

ID = "A18"
RUNS = {Tier.QUICK: 15, Tier.SOAK: 3600}
"""Seconds of overload."""


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Work for `runs` seconds under an overload of two busy processes a core."""
    burner = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(burner) for _ in range(2 * (os.cpu_count() or 1))]
    end_s = time.monotonic() + runs
    done = 0
    try:
        with executor_on(folder, resources(3)) as executor:
            while time.monotonic() < end_s:
                futures = [
                    executor.submit(holds_the_lock, 2 * 10**8),
                    executor.submit(burns, 1.0, done),
                    executor.submit(waits, 1.0, done),
                ]
                done += sum(future.exception(600) is None for future in futures)
    finally:
        for other in others:
            other.kill()
            other.wait()
    told = seen(folder)
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="seconds of twofold overload",
        lost=told.lost(),
        duplicated=told.doubled + told.stale,
        figures=(Bar(name="false_deaths", value=float(len(told.lost_attempts())), unit="", bar=0.0),),
        extra={"computations": float(done)},
    )
