"""A1: a worker is killed at a random instant; its work goes on elsewhere, and next to no time is lost."""

import os
import random
import signal
import statistics
import time
from pathlib import Path

from benchmarks.faults.calls import waits
from benchmarks.faults.local_case import executor_on, has_spare, now_s, process_of, resources, seen, until
from benchmarks.faults.outcome import Bar, Outcome, Tier, percentile

ID = "A1"
RUNS = {Tier.QUICK: 5, Tier.SOAK: 200}

_TASK_S, _TASKS, _WORKERS, _KILL_S = 1.0, 12, 2, 1.5
_IDEAL_S = _TASK_S * _TASKS / _WORKERS
_SERIES_EVERY = 20  # runs for each measured series of twelve tasks, which takes seven seconds


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Kill `runs` workers at random instants, and one in each of some series of twelve tasks."""
    chance = random.Random(seed)
    detect_s, recover_s, lost, doubled, unsound = _kills(runs, chance, folder / "kills")
    excess_s = [_series(folder / f"series-{number}") for number in range(max(1, runs // _SERIES_EVERY))]
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="a worker killed at a random instant",
        detect_s=tuple(detect_s),
        recover_s=tuple(recover_s),
        lost=lost,
        duplicated=doubled,
        figures=(
            Bar(name="detect_p99", value=percentile(tuple(detect_s), 0.99), unit="s", bar=0.5),
            Bar(
                name="excess_over_ideal",
                value=statistics.median(excess_s),
                unit="s",
                bar=0.6,
                peer="Dask (Ray 13.1)",
                peer_value=1.05,
            ),
            Bar(name="stale_commits_or_overbooked", value=float(unsound), unit="", bar=0.0),
        ),
    )


def _kills(runs: int, chance: random.Random, folder: Path) -> tuple[list[float], list[float], int, int, int]:
    """Kill the worker of one job a run; return how long until that was known and until the next attempt began."""
    folder.mkdir()
    killed: dict[str, float] = {}
    with executor_on(folder, resources(2)) as executor:
        executor.submit(waits, 0.0, -1).result(60)
        for number in range(runs):
            future = executor.submit(waits, 0.3, number)
            pid = process_of(executor, future.job_id)
            time.sleep(chance.uniform(0.0, 0.25))
            killed[future.job_id] = now_s(executor)
            os.kill(pid, signal.SIGKILL)
            assert future.result(60) == number
    told = seen(folder)
    ended = {event.attempt_id: event.at_s for event in told.lost_attempts()}
    detect_s = [ended[f"{job_id}.1"] - at_s for job_id, at_s in killed.items()]
    recover_s = [told.attempts_of(job_id)[1].at_s - at_s for job_id, at_s in killed.items()]
    return detect_s, recover_s, told.lost(killed), told.doubled, told.stale + told.overbooked(1)


def _series(folder: Path) -> float:
    """Run twelve tasks of a second on two workers, one of which is killed; return the seconds beyond the ideal."""
    folder.mkdir()
    with executor_on(folder, resources(_WORKERS)) as executor:
        # An engine that is up: it has planned a batch before, its workers are warm, and the spare is there.
        for future in [executor.submit(waits, 0.1, -number) for number in range(_TASKS)]:
            future.result(60)
        warm = [executor.submit(waits, 3.0, -number) for number in range(_WORKERS)]
        until(has_spare(folder))
        for future in warm:
            future.result(60)
        begin_s = time.monotonic()
        futures = [executor.submit(waits, _TASK_S, number) for number in range(_TASKS)]
        time.sleep(max(0.0, begin_s + _KILL_S - time.monotonic()))
        os.kill(next(iter(executor.running().values()))[1], signal.SIGKILL)
        assert [future.result(60) for future in futures] == list(range(_TASKS))
        return time.monotonic() - begin_s - _IDEAL_S
