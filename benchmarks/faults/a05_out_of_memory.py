"""A5: a computation needs more memory than its resource has; it is told from a dead node and goes on where it fits."""

from pathlib import Path

from benchmarks.faults.calls import fills, waits
from benchmarks.faults.local_case import executor_on, seen
from benchmarks.faults.outcome import Bar, Outcome, Tier
from dnaml.core.attempt import Cause
from dnaml.core.resource import Resource
from dnaml.execution.limits import Containment, Kind

ID = "A5"
RUNS = {Tier.QUICK: 2, Tier.SOAK: 20}

_MIB = 2**20


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Run computations of 200 MiB and more where 64 MiB are cheap and 1 GiB is dear."""
    with Containment.open("a05-look", memory_bytes=64 * _MIB) as held:
        kind = held.kind
    if kind is Kind.WATCH:
        return Outcome(id=ID, seed=seed, runs=0, what="out of memory", skipped="no control group can be made here")
    small = Resource(id="small", price_usd_per_h=1.0, memory_bytes=64 * _MIB)
    large = Resource(id="large", price_usd_per_h=9.0, memory_bytes=1024 * _MIB)
    sizes = [(200 + 20 * number + seed % 20) * _MIB for number in range(runs)]
    with executor_on(folder, (small, large)) as executor:
        chosen = executor.options(objective="min_cost")
        futures = [chosen.submit(fills, size) for size in sizes]
        results = [future.exception(120) or future.result() for future in futures]
        beside = chosen.submit(waits, 0.0, 7).result(60)
    told = seen(folder)
    on_small = [
        sum(event.placement.resource_id == "small" for event in told.attempts_of(future.job_id)) for future in futures
    ]
    classified = sum(event.cause is Cause.OUT_OF_MEMORY for event in told.ended)
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="a computation killed for want of memory",
        lost=told.lost(),
        duplicated=told.doubled + told.stale,
        figures=(
            Bar(name="same_size_retries", value=float(sum(max(0, n - 1) for n in on_small)), unit="", bar=0.0),
            Bar(name="false_node_deaths", value=float(len(told.lost_attempts())), unit="", bar=0.0),
            Bar(name="unclassified", value=float(sum(map(bool, on_small)) - classified), unit="", bar=0.0),
            Bar(name="wrong_results", value=float(results != sizes) + float(beside != 7), unit="", bar=0.0),
        ),
        extra={"tried_small": float(sum(map(bool, on_small)))},
    )
