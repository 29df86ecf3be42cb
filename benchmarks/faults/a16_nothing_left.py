"""A16: every resource is gone for a while and one returns; the queue is kept, nothing spins, and work goes on."""

import time
from pathlib import Path

from benchmarks.faults.calls import steps, waits
from benchmarks.faults.local_case import executor_on, now_s, resources, seen
from benchmarks.faults.outcome import Bar, Outcome, Tier, percentile
from dnaml.client import Executor

ID = "A16"
RUNS = {Tier.QUICK: 5, Tier.SOAK: 60}
"""Seconds without any resource."""
_QUEUED, _PLACES = 200, 2


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Take all resources away under work and a queue, wait `runs` seconds, and give one back."""
    with executor_on(folder, resources(_PLACES)) as executor:
        executor.submit(waits, 0.0, -1).result(60)
        running = [executor.submit(steps, 40, 0.05, str(folder / f"note-{n}")) for n in range(_PLACES)]
        queued = [executor.submit(waits, 0.0, number) for number in range(_QUEUED)]
        for place in executor.resources:
            executor.remove_resource(place.id, "all are gone")
        idle_share = _idle_share(executor, float(runs))
        back_s = now_s(executor)
        executor.add_resource(resources(1)[0])
        assert [future.result(120) for future in queued] == list(range(_QUEUED))
        assert [future.result(120) for future in running] == [40] * _PLACES
    told = seen(folder)
    starts_s = [event.at_s - back_s for event in told.started if event.at_s >= back_s]
    down_s = [event.at_s for event in told.started if event.at_s < back_s]
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="seconds without any resource",
        recover_s=(min(starts_s),),
        lost=told.lost([future.job_id for future in (*running, *queued)]),
        duplicated=told.doubled + told.stale,
        figures=(
            Bar(name="idle_cpu", value=100.0 * idle_share, unit="% of a core", bar=5.0),
            Bar(name="first_start", value=percentile((min(starts_s),), 1.0), unit="s", bar=2.0),
        ),
        extra={"starts_before": float(len(down_s))},
    )


def _idle_share(executor: Executor, for_s: float) -> float:
    """Return the share of a core that this process, engine and all, uses while nothing can run."""
    while executor.running():
        time.sleep(0.01)
    began_s, used_s = time.monotonic(), time.process_time()
    time.sleep(for_s)
    return (time.process_time() - used_s) / (time.monotonic() - began_s)
