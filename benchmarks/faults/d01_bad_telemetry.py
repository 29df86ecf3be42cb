"""D1: values that cannot be true in any field of telemetry rows; none reaches the store, all are counted."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults.outcome import Bar, Outcome, Tier
from dnaml.core.types import Sample
from dnaml.datasets.samples import SampleStore

ID = "D1"
RUNS = {Tier.QUICK: 4_000, Tier.SOAK: 1_000_000}
BAD: tuple[Any, ...] = (math.nan, math.inf, -math.inf, -1.0, 1e308, None, "3", True, [], {})
FIELDS = ("cpu_user_s", "rss_bytes", "read_bytes", "gpu_utilisation", "power_w")


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Append rows of which each has one bad value, and a good one after every hundred."""
    rng = np.random.default_rng(seed)
    accepted = good = 0
    with SampleStore(folder / "samples.sqlite") as store:
        for number in range(runs):
            row = _row(number, dict.fromkeys(FIELDS, 1.0))
            field, bad = FIELDS[rng.integers(len(FIELDS))], BAD[rng.integers(len(BAD))]
            accepted += store.append(_row(number, {**row.metrics, field: bad}))
            if number % 100 == 0:
                good += store.append(row)
        stored = list(store.rows())
        counted = sum(store.refused().values())
    bad_rows = sum(not all(math.isfinite(v) and v >= 0 for v in sample.metrics.values()) for sample in stored)
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="values that cannot be true in telemetry",
        lost=good - (len(stored) - accepted),
        figures=(
            Bar(name="bad_rows_in_the_store", value=float(bad_rows + accepted), unit="rows", bar=0.0),
            Bar(name="refused_but_not_counted", value=float(runs - counted), unit="rows", bar=0.0),
        ),
    )


def _row(number: int, metrics: dict[str, Any]) -> Sample:
    return Sample(resource_id=f"r{number % 4}", attempt_id=None, at_s=1.0 + number, metrics=metrics)
