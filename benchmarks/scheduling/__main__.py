"""Scheduling of whole workloads: dnaml's round policy beside published ones, on the same traces in the same simulator.

Rows S1 (elastic jobs, nine traces), S2-S4b (a batch of gangs), S5 (arrivals with deadlines), each with what every
restart is charged, and the simulator's own speed. `python -m benchmarks.scheduling [--quick] [--json]`.
"""

import os
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.report import Op, Row, main
from dnaml.core.resource import Resource
from dnaml.core.work import Objective
from dnaml.datasets.traces import gavel, sia
from dnaml.datasets.traces.trace import Trace, TraceJob
from dnaml.schedule.rounds.fifo import Fifo
from dnaml.schedule.rounds.registry import by_name
from dnaml.simulation import Report, Settings, replay

HOUR_S = 3600.0
ELASTIC = (*(f"philly-{i}" for i in range(1, 5)), *(f"helios-{i}" for i in range(1, 6)))
# row, objective, end by (hours); bars: mean completion h, makespan h, dollars; the peer beside it
BATCH = (
    ("S2", "min_latency", 217.0, 31.5, 217.0, 7700.0, "srpt"),
    ("S3", "min_latency", 160.0, 37.0, 160.0, None, "gavel_makespan"),
    ("S4", "min_cost", 215.0, 42.0, 215.0, 6550.0, "gavel_cost"),
    ("S4b", "balanced", 183.0, 34.2, 183.0, 7050.0, "gavel_max_min"),
)


def folder() -> Path:
    """Return the folder of the public traces: below $DNAML_DATA, else beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("DNAML_DATA", beside)) / "scheduling"


def batch_rows(quick: bool) -> list[Row]:
    """Return S2, S3, S4 and S4b: one batch of 100 gangs on 12 units of each type, to end by a common time."""
    trace = gavel.load(folder() / "gavel", "static_multi_100_s0")
    free = replace(trace, jobs=[replace(job, deadline_s=np.inf) for job in trace.jobs])
    peers = {name: replay(free, by_name(name)) for name in {row[-1] for row in BATCH}}
    rows: list[Row] = []
    for row, objective, end_h, jct_h, makespan_h, usd, peer in BATCH:
        for restart_s in (0.0,) if quick else (0.0, 30.0):
            settings = Settings(objective=Objective.of(objective), restart_s=restart_s)
            report = replay(free.with_deadline(end_h * HOUR_S), by_name("dnaml"), settings)
            bars = (jct_h, makespan_h, usd) if not restart_s else (None, None, None)
            rows += three(f"{row}.{restart_s:.0f}s", report, bars, peers[peer])
    return rows


def arrival_rows(quick: bool) -> list[Row]:
    """Return S5: 600 single jobs that arrive, on 16 units of each type; knobs chosen on two other such traces."""
    trace = gavel.load(folder() / "gavel", "cont_single_600_l3.0_s0", cluster=(16, 16, 16))
    peer = replay(trace, by_name("gavel_throughput" if not quick else "srpt"))
    rows = []
    for restart_s in (0.0,) if quick else (0.0, 30.0):
        report = replay(trace, by_name("dnaml"), Settings(restart_s=restart_s))
        bars = (14.1, None, 15_750.0) if not restart_s else (None, None, None)
        rows += three(f"S5.{restart_s:.0f}s", report, bars, peer)
        strict = not restart_s
        p99_h = report.p99_jct_s / HOUR_S
        rows += [
            Row(
                id=f"S5.{restart_s:.0f}s.late",
                metric="deadlines missed of 400 jobs",
                value=report.late,
                unit="jobs",
                bar=2 if strict else None,
                peer=peer.policy,
                peer_value=peer.late,
            ),
            Row(
                id=f"S5.{restart_s:.0f}s.p99",
                metric="p99 of completion times",
                value=p99_h,
                unit="h",
                bar=165 if strict else None,
                peer=peer.policy,
                peer_value=peer.p99_jct_s / HOUR_S,
            ),
        ]
    return rows


def three(name: str, report: Report, bars: tuple[float | None, float | None, float | None], peer: Report) -> list[Row]:
    """Return the rows of mean completion time, makespan and cost."""
    figures = (
        ("jct", "mean completion time", report.mean_jct_s / HOUR_S, "h", peer.mean_jct_s / HOUR_S),
        ("makespan", "time to the last end", report.makespan_s / HOUR_S, "h", peer.makespan_s / HOUR_S),
        ("usd", "cost of all jobs", report.cost_usd, "USD", peer.cost_usd),
    )
    note = f"{report.restarts} restarts, {report.late} late, decisions {report.decision_cpu_s:.1f} s of processor time"
    note += "" if report.gap is None else f", {100 * report.gap:.0f} % above the utopia point"
    return [
        Row(
            id=f"{name}.{key}",
            metric=metric,
            value=value,
            unit=unit,
            bar=bar,
            peer=peer.policy,
            peer_value=beside,
            note=note if key == "jct" else "",
        )
        for (key, metric, value, unit, beside), bar in zip(figures, bars, strict=True)
    ]


def elastic_rows(quick: bool) -> list[Row]:
    """Return S1: dnaml over Sia, each figure the mean over the traces of its ratio."""
    names = ELASTIC[:1] if quick else ELASTIC
    pairs = []
    for name in names:
        trace = sia.load(folder() / "sia", name)
        pairs.append((replay(trace, by_name("dnaml")), replay(trace, by_name("sia"))))
    figures: tuple[tuple[str, str, float, Callable[[Report], float]], ...] = (
        ("jct", "mean completion time", 0.90, lambda r: r.mean_jct_s),
        ("usd", "cost of a job", 0.90, lambda r: r.cost_usd / r.jobs),
        ("p99", "p99 of completion times", 1.0, lambda r: r.p99_jct_s),
        ("makespan", "time to the last end", 1.0, lambda r: r.makespan_s),
        ("restarts", "restarts of a job", 1.0, lambda r: r.restarts / r.jobs),
    )
    rows = []
    for key, metric, bar, of in figures:
        ours, theirs = [of(a) for a, _ in pairs], [of(b) for _, b in pairs]
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        rows.append(
            Row(
                id=f"S1.{key}",
                metric=f"{metric}, mean over {len(names)} traces, over Sia's",
                value=statistics.mean(ours) / statistics.mean(theirs),
                unit="x",
                bar=bar,
                note=f"by trace {', '.join(f'{ratio:.2f}' for ratio in ratios)}",
            )
        )
    return rows


def speed_rows(quick: bool) -> list[Row]:
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


def measure(quick: bool) -> Sequence[Row]:
    """Return every row; without the public traces, only the simulator's own."""
    rows = speed_rows(quick)
    if not folder().is_dir():
        note = f"there are no traces in {folder().name}: set DNAML_DATA"
        return [*rows, Row(id="S1", metric="public traces", value=None, unit="", note=note)]
    return [*rows, *batch_rows(quick), *arrival_rows(quick), *elastic_rows(quick)]


if __name__ == "__main__":
    sys.exit(main("scheduling", measure, seeds=(0,)))
