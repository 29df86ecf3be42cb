"""N1: a worker is killed right after its computation ended; the finished result is there, and nothing runs again."""

import os
import signal
from concurrent.futures import wait
from contextlib import suppress
from pathlib import Path

from benchmarks.faults.calls import waits
from benchmarks.faults.local_case import executor_on, resources, seen
from benchmarks.faults.outcome import Bar, Outcome, Tier
from dnaml.core.attempt import AttemptState

ID = "N1"
RUNS = {Tier.QUICK: 10, Tier.SOAK: 200}


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """End a computation, kill its worker, and only then ask for the result."""
    wrong, job_ids = 0, []
    with executor_on(folder, resources(1)) as executor:
        for number in range(runs):
            future = executor.submit(waits, 0.0, number)
            assert not wait([future], timeout=60).not_done
            _kill_all([event.pid for event in seen(folder).started[-1:]])
            wrong += future.result(60) != number
            job_ids.append(future.job_id)
    told = seen(folder)
    results = [event for event in told.ended if event.outcome is AttemptState.DONE]
    again = len(results) - len({event.attempt_id.rpartition(".")[0] for event in results})
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="a worker killed after its computation ended",
        lost=told.lost(job_ids) + wrong,
        duplicated=told.doubled + told.stale,
        figures=(
            Bar(
                name="finished_results_lost",
                value=float(wrong + again),
                unit="",
                bar=0.0,
                peer="Dask (of 1)",
                peer_value=1.0,
            ),
        ),
    )


def _kill_all(pids: list[int | None]) -> None:
    for pid in pids:
        assert pid is not None
        with suppress(ProcessLookupError):  # it is dead already
            os.kill(pid, signal.SIGKILL)
