"""B5: every flush of the disk takes two seconds; submissions share them, and nobody is taken for dead meanwhile."""

import threading
import time
from pathlib import Path

from benchmarks.faults.outcome import Bar, Outcome, Tier, percentile
from benchmarks.faults.storage_case import NO_STRACE, injecting, submitted

ID = "B5"
RUNS = {Tier.QUICK: 1, Tier.SOAK: 10}
_WHAT = "every flush of the disk takes two seconds"


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Submit one after the other while flushes are slow."""
    if NO_STRACE:
        return Outcome(id=ID, seed=seed, runs=0, what=_WHAT, skipped=NO_STRACE)
    waits_s: list[float] = []
    lost = 0
    for run in range(runs):
        case = folder / str(run)
        told = submitted(case, 4, before=injecting("fdatasync:delay_enter=2000000", case))
        waits_s += told.acknowledged_s.values()
        lost += 4 - len(told.acknowledged_s)
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what=_WHAT,
        lost=lost,
        figures=(
            Bar(name="submit_p99", value=percentile(tuple(waits_s), 0.99), unit="s", bar=3.0),
            Bar(name="submit_of_16_at_once_max", value=_shared_s(), unit="s", bar=4.5),
        ),
    )


def _shared_s() -> float:
    """Let sixteen threads wait for flushes of two seconds; return the longest wait: two flushes serve all."""
    from dnaml.datasets.group_sync import GroupSync

    group = GroupSync(lambda: time.sleep(2.0))
    waits_s: list[float] = []

    def client() -> None:
        group.note()
        began_s = time.perf_counter()
        group.wait()
        waits_s.append(time.perf_counter() - began_s)

    threads = [threading.Thread(target=client) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(waits_s)
