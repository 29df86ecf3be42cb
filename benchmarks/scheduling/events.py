"""S0: how many events a second the simulator itself carries."""

import numpy as np

from benchmarks.report import Op, Row
from dnaml.core.resource import Resource
from dnaml.datasets.traces.trace import Trace, TraceJob
from dnaml.schedule.rounds.fifo import Fifo
from dnaml.simulation import Settings, replay


def event_rows(quick: bool) -> list[Row]:
    """Return the events a second of the simulator without the policy's time, for jobs of one unit."""
    count = 20_000 if quick else 100_000
    rng = np.random.default_rng(0)
    arrival_s, runtime_s = np.cumsum(rng.exponential(1.0, count)), rng.exponential(80.0, (count, 1))
    units = np.ones(1, dtype=np.int64)
    jobs = (
        TraceJob(id=str(i), arrival_s=float(at_s), runtime_s=runtime_s[i], units=units)
        for i, at_s in enumerate(arrival_s)
    )
    trace = Trace(name="drawn", resources=(Resource(id="pool", slots=100),), pool=np.array([0]), jobs=jobs)
    report = replay(trace, Fifo(), Settings(keep=False))
    return [
        Row(
            id="S0.events",
            metric="events simulated a second of processor time, without the policy's",
            value=report.events / report.simulator_cpu_s,
            unit="1/s",
            op=Op.AT_LEAST,
            bar=100_000,
            note=f"{count} jobs of one unit, each arrives, starts and ends; processor time, also of a shared core",
        )
    ]
