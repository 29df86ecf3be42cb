"""Functions against workers of this machine for short bursts: where the faster one changes, predicted and measured.

The provider is emulated on this machine by a real HTTP server (cold starts, one call an instance at a time, a latency
for each call); the work waits instead of computing, so that two cores stand for any number. Both sides run through the
engine. The model has seen single calls alone; the crossover is where bursts of growing size take equally long.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import dnaml
from benchmarks.faults.calls import waits
from benchmarks.function_provider import Provider, provided
from benchmarks.report import Row, main
from dnaml.core.resource import Site
from dnaml.engine import EngineSettings
from dnaml.execution.serverless import HttpFunction, Warmth, call_handler, serverless
from dnaml.execution.serverless.backend import ServerlessBackend
from dnaml.predict.cost import Tariffs, Traffic

COLD_S, AWAY_SLOTS, HERE_SLOTS = 1.2, 16, 2
MEMORY_BYTES, GB = 512 * 10**6, 1e9
SPEC = {"usd_per_gb_s": 1.66667e-5, "usd_per_call": 2e-7, "billing_quantum_s": 0.1}
WORKS_S, QUICK_WORKS_S = (0.1, 0.2, 0.4), (0.2,)
REPEATS, QUICK_REPEATS = 3, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """An executor with both resources, and the provider behind one of them."""

    executor: dnaml.Executor
    provider: Provider

    def burst_s(self, where: str, calls: int, work_s: float) -> float:
        """Return how long a burst takes; functions start cold."""
        if where == "fn":
            self.provider.cool()
        view = self.executor.options(constraints=dnaml.Constraints(resource_ids=(where,)))
        begun_s = time.monotonic()
        futures = [view.submit(waits, work_s, number) for number in range(calls)]
        for future in futures:
            future.result(120)
        return time.monotonic() - begun_s

    def warmth(self) -> Warmth:
        """Return what the back end learned of the function."""
        backend = self.executor._engine.backend
        assert isinstance(backend, ServerlessBackend)
        return backend.warmth("fn")


@contextmanager
def sides() -> Iterator[Sides]:
    """Open both sides on a fresh state folder; workers of this machine have started when it is entered."""
    with tempfile.TemporaryDirectory() as folder, provided(call_handler(waits), cold_s=COLD_S) as provider:
        settings = EngineSettings(open_backend=serverless({"fn": HttpFunction(url=provider.url)}))
        away = dnaml.Resource(id="fn", site=Site.SERVERLESS, domain="away", slots=AWAY_SLOTS, spec=SPEC)
        here = dnaml.Resource(id="here", slots=HERE_SLOTS)
        with dnaml.Executor([away, here], state=Path(folder), settings=settings, cores=HERE_SLOTS) as executor:
            both = Sides(executor=executor, provider=provider)
            both.burst_s("here", 8, 0.05)
            yield both


def measure(quick: bool) -> Sequence[Row]:
    """Return the rows of R6."""
    works, repeats = (QUICK_WORKS_S, QUICK_REPEATS) if quick else (WORKS_S, REPEATS)
    rows, errors = [], []
    with sides() as both:
        for work_s in works:
            predicted = predicted_crossover(both, work_s)
            measured = measured_crossover(both, work_s, repeats, round(predicted))
            error = abs(predicted / measured - 1)
            errors.append(error)
            note = f"predicted {predicted:.2f} calls, measured {measured:.2f} (cold start {COLD_S:g} s, emulated)"
            name = f"crossover of bursts of {work_s:g} s calls, off by"
            rows.append(Row(id="R6.size", metric=name, value=100 * error, unit="%", note=note))
        rows += cost_rows(both)
    worst = Row(
        id="R6",
        metric="break-even of function and workers, predicted against measured, worst",
        value=100 * max(errors),
        unit="%",
        bar=10.0,
        note=f"provider emulated on this machine; load {os.getloadavg()[0]:.1f}",
    )
    return [worst, *rows]


def predicted_crossover(both: Sides, work_s: float) -> float:
    """Return from how many calls on functions are predicted to be faster, having seen single calls alone."""
    for _ in range(2):
        both.burst_s("fn", 1, work_s)
    single_s = statistics.median(both.burst_s("here", 1, work_s) for _ in range(3))
    known = both.warmth()
    run_s = work_s + known.warm_s

    def here_s(calls: float) -> float:
        return single_s * max(1.0, calls / HERE_SLOTS)

    def away_s(calls: float) -> float:
        return known.cold_s + work_s + run_s * (max(1.0, calls / AWAY_SLOTS) - 1)

    return crossing(here_s, away_s)


def measured_crossover(both: Sides, work_s: float, repeats: int, about: int) -> float:
    """Return where the measured times of bursts around a size cross; whole rounds of workers, between them straight."""
    sizes = sorted({max(2, 2 * round(about * share / 2)) for share in (0.5, 0.8, 1.0, 1.25, 1.6)})
    times = {
        where: [statistics.median(both.burst_s(where, size, work_s) for _ in range(repeats)) for size in sizes]
        for where in ("here", "fn")
    }
    return crossing(
        lambda calls: float(np.interp(calls, sizes, times["here"])),
        lambda calls: float(np.interp(calls, sizes, times["fn"])),
    )


def crossing(here_s: Callable[[float], float], away_s: Callable[[float], float]) -> float:
    """Return the smallest size from which functions are faster, to a hundredth of a call."""
    for calls in np.arange(1.0, 400.0, 0.01):
        if here_s(float(calls)) >= away_s(float(calls)):
            return float(calls)
    return float("nan")


def cost_rows(both: Sides) -> list[Row]:
    """Compare predicted bills of single calls with those that the provider's own clock gives."""
    away = dnaml.Resource(id="fn", site=Site.SERVERLESS, startup_s=both.warmth().cold_s, spec=SPEC)
    traffic = Traffic(
        in_bytes=np.zeros(1),
        out_bytes=np.zeros(1),
        checkpoint_bytes=np.zeros(1),
        memory_bytes=np.array([float(MEMORY_BYTES)]),
    )
    errors = []
    for work_s in (0.15, 0.55):
        both.burst_s("fn", 1, work_s)
        used_s = both.provider.used_s[-1]
        quantum_s = SPEC["billing_quantum_s"]
        billed_s = np.ceil(used_s / quantum_s) * quantum_s
        bill = billed_s * MEMORY_BYTES / GB * SPEC["usd_per_gb_s"] + SPEC["usd_per_call"]
        said = Tariffs.of([away]).cost_usd(np.array([[work_s]]), traffic=traffic)
        errors.append(abs(float(said[0, 0]) / bill - 1))
    note = "GB-seconds in quanta of 0.1 s and calls; a cold start is billed, as predicted"
    return [
        Row(id="R6.cost", metric="bill of a cold call, off by at most", value=100 * max(errors), unit="%", note=note)
    ]


if __name__ == "__main__":
    sys.exit(main("serverless", measure))
