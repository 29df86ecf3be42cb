"""What the embedded engine adds to a task, beside executors that decide nothing: processor time, efficiency, latency.

Every dnaml task is decided among four candidates, journaled, run in a worker process and committed once; its peers
hand a task to whichever of two workers is free. `python -m benchmarks.engine [--quick] [--json]`.
"""

import contextlib
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from benchmarks.report import Op, Row, main
from benchmarks.tasks import burn_10ms, noop, sleep_10ms

WORKERS = 2
BAR_RATIO = 3.0
BAR_EFFICIENCY = 0.95
DNAML, PEER = "dnaml", "ProcessPoolExecutor"
_BRIEF_TASKS = 200
_BRIEF_S = 0.01

Task = Callable[[int], int]
T = TypeVar("T")
RunAll = Callable[[Task, Iterable[int]], list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One way to run tasks on two workers: `open` starts it, and yields what runs tasks and returns their results."""

    name: str
    open: Callable[[], AbstractContextManager[RunAll]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much is measured: rounds, tasks of the short and of the long series, serial round trips."""

    rounds: int
    few: int
    many: int
    trips: int


FULL = Counts(rounds=7, few=1000, many=9000, trips=1000)
QUICK = Counts(rounds=3, few=500, many=4500, trips=200)


# -- the contenders ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _serving(executor: Executor) -> Iterator[RunAll]:
    def run_all(task: Task, numbers: Iterable[int]) -> list[int]:
        return [future.result() for future in [executor.submit(task, number) for number in numbers]]

    with executor:
        yield run_all


def dnaml_of(candidates: int) -> Contender:
    """Return dnaml deciding among so many resources with prices of their own, at most two attempts at once."""
    import dnaml

    pool = [
        dnaml.Resource(id=f"r{number}", price_usd_per_h=1.0 + number, memory_bytes=8 << 30)
        for number in range(candidates)
    ]
    name = DNAML if candidates == 4 else f"{DNAML}, {candidates} candidates"
    return Contender(name=name, open=lambda: _serving(dnaml.Executor(pool, state="temporary", cores=WORKERS)))


def _loky() -> AbstractContextManager[RunAll]:
    from loky import ProcessPoolExecutor as LokyExecutor

    return _serving(LokyExecutor(max_workers=WORKERS))


@contextlib.contextmanager
def _joblib() -> Iterator[RunAll]:
    import joblib
    from joblib.externals.loky import get_reusable_executor

    with joblib.Parallel(n_jobs=WORKERS, batch_size=1) as parallel:
        yield lambda task, numbers: list(parallel(joblib.delayed(task)(number) for number in numbers))
    get_reusable_executor(max_workers=WORKERS, reuse=True).shutdown(wait=True)


def contenders() -> list[Contender]:
    """Return dnaml and its peers; a peer that is not installed is left out."""
    from importlib.util import find_spec

    found = [
        dnaml_of(4),
        Contender(name=PEER, open=lambda: _serving(ProcessPoolExecutor(WORKERS))),
    ]
    if find_spec("loky"):
        found.append(Contender(name="loky", open=_loky))
    if find_spec("joblib"):
        found.append(Contender(name="joblib", open=_joblib))
    return found


# -- the measures ------------------------------------------------------------------------------------------------------


def cpu_s() -> float:
    """Return processor seconds of this process and of every child that has ended and was reaped."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def cpu_of_series_s(contender: Contender, tasks: int) -> float:
    """Return processor seconds of a whole life: start, so many no-ops, shutdown."""
    begin_s = cpu_s()
    with contender.open() as run_all:
        run_all(noop, range(tasks))
    return cpu_s() - begin_s


def cpu_of_noop_us(contender: Contender, counts: Counts) -> float:
    """Return processor microseconds a no-op: a long life less a short one, so that start and shutdown drop out."""
    short_s = cpu_of_series_s(contender, counts.few)
    long_s = cpu_of_series_s(contender, counts.many)
    return (long_s - short_s) / (counts.many - counts.few) * 1e6


def efficiencies(contender: Contender, task: Task, series: int) -> list[float]:
    """Return the ideal over the real elapsed time of 200 tasks of 10 ms, for each of several series on warm workers."""
    ideal_s = _BRIEF_TASKS * _BRIEF_S / WORKERS
    found = []
    with contender.open() as run_all:
        run_all(task, range(_BRIEF_TASKS // 2))
        for number in range(series):
            begin_s = time.perf_counter()
            run_all(task, range(number * _BRIEF_TASKS, (number + 1) * _BRIEF_TASKS))
            found.append(ideal_s / (time.perf_counter() - begin_s))
    return found


def round_trips_s(contender: Contender, trips: int) -> list[float]:
    """Return the elapsed seconds of no-ops that are submitted one after the other has ended, on warm workers."""
    found = []
    with contender.open() as run_all:
        run_all(noop, range(_BRIEF_TASKS))
        for number in range(trips):
            begin_s = time.perf_counter()
            run_all(noop, (number,))
            found.append(time.perf_counter() - begin_s)
    return found


def startup_s(contender: Contender) -> tuple[float, float]:
    """Return elapsed seconds from nothing to the first result, and processor seconds of that whole life."""
    begin_s, begin_cpu_s = time.perf_counter(), cpu_s()
    with contender.open() as run_all:
        run_all(noop, (1,))
        first_s = time.perf_counter() - begin_s
    return first_s, cpu_s() - begin_cpu_s


def in_turns(among: Sequence[Contender], rounds: int, measure: Callable[[Contender], T]) -> dict[str, list[T]]:
    """Measure every contender once a round, each second round in the opposite order: load that changes meets all."""
    found: dict[str, list[T]] = {contender.name: [] for contender in among}
    for number in range(rounds):
        for contender in among if number % 2 == 0 else reversed(among):
            found[contender.name].append(measure(contender))
    return found


# -- the rows ----------------------------------------------------------------------------------------------------------


def noop_rows(among: Sequence[Contender], counts: Counts) -> list[Row]:
    """Return the processor time of a no-op, and its ratio to the standard executor's, pair by pair."""
    costs_us = in_turns(among, counts.rounds, lambda contender: cpu_of_noop_us(contender, counts))
    ratios = ratios_to_peer(costs_us)
    median = {name: statistics.median(values) for name, values in costs_us.items()}
    second = next((name for name in ("loky", "joblib") if name in ratios), None)
    return [
        Row(
            id="E1.ratio",
            metric="processor time of a no-op task, decision included, over ProcessPoolExecutor's",
            value=statistics.median(ratios[DNAML]),
            unit="x",
            bar=BAR_RATIO,
            peer=second,
            peer_value=statistics.median(ratios[second]) if second else None,
            note=f"{counts.rounds} pairs: {spread(ratios[DNAML], '.2f')}",
        ),
        Row(
            id="E1.cpu",
            metric="processor time of a no-op task, all processes",
            value=median[DNAML],
            unit="us",
            peer=PEER,
            peer_value=median[PEER],
            note="us a task: " + "; ".join(f"{name} {cost:.0f}" for name, cost in median.items()),
        ),
    ]


def ratios_to_peer(costs: dict[str, list[float]]) -> dict[str, list[float]]:
    """Return every contender's cost over that of the standard executor in the same round."""
    return {
        name: [value / base for value, base in zip(values, costs[PEER], strict=True)] for name, values in costs.items()
    }


def spread(values: Sequence[float], form: str) -> str:
    """Return median and range in words."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"median {middle:{form}}, from {low:{form}} to {high:{form}}"


def efficiency_rows(among: Sequence[Contender], counts: Counts) -> list[Row]:
    """Return how much of two workers 10 ms tasks use: tasks that wait, and tasks that compute."""
    rows = []
    for key, metric, task in (("sleep", "that wait", sleep_10ms), ("cpu", "of processor time", burn_10ms)):
        found = in_turns(among, 2, partial(efficiencies, task=task, series=counts.rounds))
        shares = {name: [share for series in values for share in series] for name, values in found.items()}
        median = {name: statistics.median(values) for name, values in shares.items()}
        rows.append(
            Row(
                id=f"E2.{key}",
                metric=f"efficiency of 200 tasks of 10 ms {metric} on 2 workers",
                value=median[DNAML],
                unit="of the ideal",
                op=Op.AT_LEAST,
                bar=BAR_EFFICIENCY,
                peer=PEER,
                peer_value=median[PEER],
                note="; ".join(f"{name} {spread(values, '.3f')}" for name, values in shares.items()),
            )
        )
    return rows


def latency_rows(among: Sequence[Contender], counts: Counts) -> list[Row]:
    """Return how long one no-op takes there and back when nothing else runs."""
    found = in_turns(among, 2, lambda contender: round_trips_s(contender, counts.trips // 2))
    trips_ms = {name: [trip * 1e3 for part in values for trip in part] for name, values in found.items()}
    rows = []
    for key, level in (("p50", 50), ("p99", 99)):
        at = {name: statistics.quantiles(trips, n=100)[level - 1] for name, trips in trips_ms.items()}
        rows.append(
            Row(
                id=f"E3.{key}",
                metric=f"a no-op there and back, one at a time, {key}",
                value=at[DNAML],
                unit="ms",
                peer=PEER,
                peer_value=at[PEER],
                note="ms: " + "; ".join(f"{name} {value:.2f}" for name, value in at.items()),
            )
        )
    return rows


def startup_rows(among: Sequence[Contender], counts: Counts) -> list[Row]:
    """Return how long the first result takes from nothing, in a process that has imported everything."""
    found = in_turns(among, counts.rounds, startup_s)
    walls = {name: statistics.median(wall for wall, _ in values) for name, values in found.items()}
    cpus = {name: statistics.median(cpu for _, cpu in values) for name, values in found.items()}
    told = "; ".join(f"{name} {walls[name]:.2f} ({cpus[name]:.2f})" for name in walls)
    return [
        Row(
            id="E4.start",
            metric="from nothing to the first result",
            value=walls[DNAML],
            unit="s",
            peer=PEER,
            peer_value=walls[PEER],
            note=f"s (processor seconds of the whole life): {told}",
        )
    ]


def measure(quick: bool) -> Sequence[Row]:
    """Return every row."""
    counts = QUICK if quick else FULL
    among = contenders()
    in_turns(among, 1, lambda contender: cpu_of_series_s(contender, counts.few))  # imports, and files into the cache
    return [
        *noop_rows(among, counts),
        *efficiency_rows(among, counts),
        *latency_rows(among, counts),
        *startup_rows(among, counts),
    ]


if __name__ == "__main__":
    sys.exit(main("engine", measure))
