"""The numbers behind docs/decisions: what each choice gains over the alternative that was not taken.

Where payloads lie, what time a run is charged, in which unit a batch is judged, how many jobs one plan looks at.
`python -m benchmarks.choices [--quick] [--json]`.
"""

import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.report import Row, main
from benchmarks.tasks import crunch
from dnaml.client import Executor
from dnaml.core.plan import FloatArray, Problem
from dnaml.core.prediction import LEVELS, Prediction, Quantiles
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Job, Objective
from dnaml.datasets.blobs import BlobLog
from dnaml.futures import Future
from dnaml.schedule.assignment import assign
from dnaml.schedule.matching import MatchingPolicy, utopia
from dnaml.schedule.objective import References, best_of_each, evaluate, expected, fixed_parts, shares_of
from dnaml.schedule.queues import completions

SEEDS = (0, 1, 2, 3, 4)
JOBS, RESOURCES = 512, 8
PAYLOAD = b"x" * 1000


# -- a payload on its way to the disk ----------------------------------------------------------------------------------


def storing_rows(quick: bool) -> list[Row]:
    """Return what one payload costs that survives SIGKILL once `submit` returns: a frame, or a row and its commit."""
    count = 1000 if quick else 5000
    with tempfile.TemporaryDirectory() as folder:
        log = BlobLog(Path(folder), "payloads")
        frame_us = _each_us(lambda: log.append(PAYLOAD, digest="-"), count)
        log.close()
        database = sqlite3.connect(Path(folder) / "payloads.sqlite", isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        database.execute("CREATE TABLE payloads (id INTEGER PRIMARY KEY, body BLOB)")
        insert = partial(database.execute, "INSERT INTO payloads (body) VALUES (?)", (PAYLOAD,))
        row_us = _each_us(insert, count)
        database.close()
    return [
        Row(
            id="B1.append",
            metric="processor time to store a payload of 1 kB durably against SIGKILL",
            value=frame_us,
            unit="us",
            peer="a row and a commit in SQLite (WAL)",
            peer_value=row_us,
            note=f"{count} of each, one after the other",
        )
    ]


def _each_us(act: Callable[[], object], count: int) -> float:
    begin_s = time.process_time()
    for _ in range(count):
        act()
    return (time.process_time() - begin_s) / count * 1e6


# -- the clock of a run ------------------------------------------------------------------------------------------------


def clock_rows(quick: bool) -> list[Row]:
    """Return how much longer the same work seems to take when four run on the machine at once, by three clocks."""
    pool = [Resource(id=f"r{number}") for number in range(4)]
    times = 8 if quick else 24
    alone, crowded = (_usages(pool, cores, times) for cores in (1, 4))
    grown = {
        clock: statistics.median(read(usage) for usage in crowded) / statistics.median(read(usage) for usage in alone)
        for clock, read in _CLOCKS.items()
    }
    return [
        Row(
            id="C1.clock",
            metric="the same work among four at once over alone, by the attempt's own clock",
            value=grown["own"],
            unit="x",
            peer="elapsed time",
            peer_value=grown["elapsed"],
            note=f"processor time alone {grown['processor']:.2f} x; {times} runs each way on this machine's cores",
        )
    ]


_CLOCKS: dict[str, Callable[[tuple[float, float, float]], float]] = {
    "own": lambda usage: usage[0],
    "elapsed": lambda usage: usage[1],
    "processor": lambda usage: usage[2],
}


def _usages(pool: Sequence[Resource], cores: int, times: int) -> list[tuple[float, float, float]]:
    """Return (own clock, elapsed, processor) of each run, with so many at once."""
    with Executor(pool, state="temporary", cores=cores) as executor:
        _results([executor.submit(crunch, number) for number in range(8)])
        futures = [executor.submit(crunch, number) for number in range(times)]
        _results(futures)
        usages = [future.record.attempts[-1].usage for future in futures]
    return [(usage.runtime_s, usage.wall_s, usage.cpu_s or 0.0) for usage in usages if usage is not None]


def _results(futures: Sequence[Future[int]]) -> None:
    for future in futures:
        future.result()


# -- the unit of a batch, and the window -------------------------------------------------------------------------------


def drawn(seed: int, jobs: int = JOBS) -> Problem:
    """Return unlike jobs on unlike resources: sizes over a factor of 50, dearer resources somewhat faster."""
    rng = np.random.default_rng(seed)
    speed = np.exp(rng.normal(0.0, 0.4, RESOURCES))
    price_usd_per_h = speed * np.exp(rng.normal(0.0, 0.3, RESOURCES))
    runtime_s = np.exp(rng.normal(0.0, 1.0, (jobs, 1)) + rng.normal(0.0, 0.5, (jobs, RESOURCES))) / speed
    return _problem(runtime_s, price_usd_per_h, np.zeros(RESOURCES))


def _problem(runtime_s: FloatArray, price_usd_per_h: FloatArray, free_in_s: FloatArray) -> Problem:
    levels = np.array(LEVELS)
    values = np.repeat(runtime_s[:, :, None], len(levels), axis=2)
    count = len(runtime_s)
    return Problem(
        at_s=0.0,
        jobs=tuple(Job(id=f"j{i}", computation_id=f"c{i}", submitted_at_s=0.0) for i in range(count)),
        computations=tuple(Computation(id=f"c{i}", kernel="drawn") for i in range(count)),
        resources=tuple(Resource(id=f"r{i}", price_usd_per_h=price) for i, price in enumerate(price_usd_per_h)),
        free_in_s=free_in_s,
        prediction=Prediction(
            runtime_s=Quantiles(levels=levels, values=values),
            cost_usd=Quantiles(levels=levels, values=values * (price_usd_per_h / 3600)[None, :, None]),
            feasible=np.ones((count, RESOURCES), dtype=bool),
            hazard_per_h=np.zeros(RESOURCES),
            path="drawn",
        ),
        objective=Objective.of("balanced"),
    )


def reached(problem: Problem, choices: Sequence[tuple[int, int]], references: References) -> float:
    """Return the objective of choices in start order."""
    pairs = expected(problem)
    _, ends_s = completions(problem, choices, pairs.runtime_s)
    costs = [pairs.cost_usd[j, r] for j, r in choices]
    return evaluate(ends_s, costs, objective=problem.objective, references=references).objective


def planned(problem: Problem) -> list[tuple[int, int]]:
    """Return what the default policy chooses."""
    columns = {resource.id: column for column, resource in enumerate(problem.resources)}
    placements = MatchingPolicy().plan(problem).placements
    return [(int(placement.job_id[1:]), columns[placement.resource_id]) for placement in placements]


def by_own_best(problem: Problem) -> list[tuple[int, int]]:
    """Return the choices when every job's terms are divided by what that job alone could reach."""
    pairs, shares = expected(problem), shares_of(problem)
    allowed = np.ones(pairs.runtime_s.shape, dtype=bool)
    references = best_of_each(pairs, allowed, np.zeros(allowed.shape))
    slope = shares.latency / references.jct_s * pairs.runtime_s
    base = sum(fixed_parts(pairs, allowed, shares, references).values())
    slots = np.ones(RESOURCES, dtype=np.int64)
    found = assign(slope, np.asarray(base), allowed, slots, steps=problem.budget)
    order = np.lexsort((slope[np.arange(len(slope)), found.resource], found.resource))
    return [(int(j), int(found.resource[j])) for j in order]


def unit_rows(quick: bool) -> list[Row]:
    """Return what a batch loses when each job is judged in a unit of its own."""
    ratios = []
    for seed in SEEDS:
        problem = drawn(seed, jobs=128 if quick else JOBS)
        references = utopia(problem)
        batch = reached(problem, planned(problem), references)
        ratios.append(reached(problem, by_own_best(problem), references) / batch)
    return [
        Row(
            id="U1.unit",
            metric="objective of a batch planned in units of each job's own best, over that of the utopia point",
            value=statistics.median(ratios),
            unit="x",
            note=f"{len(SEEDS)} drawn batches of unlike jobs: {min(ratios):.2f} to {max(ratios):.2f}",
        )
    ]


def window_rows(quick: bool) -> list[Row]:
    """Return what planning a queue in windows costs in processor time, and in the objective it reaches."""
    windows = (16, 64, 256) if quick else (16, 64, 256, JOBS)
    whole = {seed: reached(drawn(seed), planned(drawn(seed)), utopia(drawn(seed))) for seed in SEEDS}
    rows = []
    for window in windows:
        each_us, ratios = [], []
        for seed in SEEDS:
            problem = drawn(seed)
            begin_s = time.process_time()
            choices = in_windows(problem, window)
            each_us.append((time.process_time() - begin_s) / JOBS * 1e6)
            ratios.append(reached(problem, choices, utopia(problem)) / whole[seed])
        rows.append(
            Row(
                id=f"W1.{window}",
                metric=f"processor time a job, {JOBS} unlike jobs planned {window} at a time on {RESOURCES} resources",
                value=statistics.median(each_us),
                unit="us",
                note=f"objective over that of one plan for all: {statistics.median(ratios):.3f}",
            )
        )
    return rows


def in_windows(problem: Problem, window: int) -> list[tuple[int, int]]:
    """Return the choices when so many jobs are planned and all begun before the next are looked at.

    The engine does better: it plans again when a quarter of the window is left.
    """
    pairs = expected(problem)
    price = np.array([resource.price_usd_per_h for resource in problem.resources], dtype=float)
    free_in_s, choices = np.zeros(RESOURCES), []
    for first in range(0, len(problem.jobs), window):
        runtime_s = pairs.runtime_s[first : first + window]
        for j, r in planned(_problem(runtime_s, price, free_in_s - free_in_s.min())):
            choices.append((first + j, r))
            free_in_s[r] += runtime_s[j, r]
    return choices


def measure(quick: bool) -> Sequence[Row]:
    """Return every row."""
    return [*storing_rows(quick), *clock_rows(quick), *unit_rows(quick), *window_rows(quick)]


if __name__ == "__main__":
    sys.exit(main("choices", measure, seeds=SEEDS))
