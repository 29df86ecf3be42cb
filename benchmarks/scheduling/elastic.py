"""S1: elastic training jobs on nine traces, dnaml's balanced preset over Sia's."""

import statistics
from collections.abc import Callable

from benchmarks.report import Row
from benchmarks.scheduling import folder
from dnaml.datasets.traces import sia
from dnaml.schedule.rounds.registry import by_name
from dnaml.simulation import Report, replay

TRACES = (*(f"philly-{i}" for i in range(1, 5)), *(f"helios-{i}" for i in range(1, 6)))


def elastic_rows(quick: bool) -> list[Row]:
    """Return each figure as the mean over the traces over that of Sia."""
    names = TRACES[:1] if quick else TRACES
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
