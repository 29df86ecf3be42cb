"""A2: a worker is frozen (SIGSTOP); it is suspected, then dead by its silence, and its work goes on elsewhere."""

import os
import random
import signal
import time
from pathlib import Path

from benchmarks.faults.calls import burns
from benchmarks.faults.local_case import executor_on, is_alive, now_s, process_of, resources, seen
from benchmarks.faults.outcome import Bar, Outcome, Tier, percentile
from dnaml.core.attempt import Cause

ID = "A2"
RUNS = {Tier.QUICK: 2, Tier.SOAK: 40}


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Freeze two workers at once, `runs` in all, with the default settings."""
    chance = random.Random(seed)
    frozen: dict[str, float] = {}
    pids: list[int] = []
    with executor_on(folder, resources(4), cores=2) as executor:
        for _ in range(max(1, runs // 2)):
            futures = [executor.submit(burns, 0.7, number) for number in range(2)]
            for future in futures:
                pids.append(process_of(executor, future.job_id))
                time.sleep(chance.uniform(0.0, 0.1))
                frozen[future.job_id] = now_s(executor)
                os.kill(pids[-1], signal.SIGSTOP)
            assert [future.result(120) for future in futures] == [0, 1]
    told = seen(folder)
    silent = {event.attempt_id: event.at_s for event in told.lost_attempts(Cause.SILENT)}
    detect_s = tuple(silent.get(f"{job_id}.1", float("inf")) - at_s for job_id, at_s in frozen.items())
    return Outcome(
        id=ID,
        seed=seed,
        runs=len(frozen),
        what="a worker frozen by SIGSTOP",
        detect_s=detect_s,
        recover_s=tuple(told.attempts_of(job_id)[1].at_s - at_s for job_id, at_s in frozen.items()),
        lost=told.lost(frozen),
        duplicated=told.doubled,
        figures=(
            Bar(
                name="detect_p99",
                value=percentile(detect_s, 0.99),
                unit="s",
                bar=6.0,
                peer="Ray (Dask none in 90)",
                peer_value=64.7,
            ),
            Bar(name="frozen_left_alive", value=float(sum(map(is_alive, pids))), unit="", bar=0.0),
            Bar(name="stale_commits_or_overbooked", value=float(told.stale + told.overbooked(1)), unit="", bar=0.0),
        ),
    )
