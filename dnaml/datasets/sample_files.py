"""Writes telemetry rows to files: Parquet, CSV and JSON lines, one column a metric."""

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from dnaml.core.types import Sample

_KEYS = ("resource_id", "attempt_id", "at_s")


def _flat(sample: Sample) -> dict[str, Any]:  # Any: text, numbers or None, as a column holds them
    return {
        "resource_id": sample.resource_id,
        "attempt_id": sample.attempt_id,
        "at_s": sample.at_s,
        **{f"t_{name}": value for name, value in sample.metrics.items()},
    }


def write_json(path: Path, samples: Iterable[Sample]) -> int:
    """Write one JSON object a line and return how many."""
    written = 0
    with path.open("w", encoding="utf-8") as file:
        for sample in samples:
            file.write(json.dumps(_flat(sample), allow_nan=False) + "\n")
            written += 1
    return written


def write_csv(path: Path, samples: Iterable[Sample]) -> int:
    """Write a table with a header and return its number of rows."""
    rows = [_flat(sample) for sample in samples]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _columns(rows), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def write_parquet(path: Path, samples: Iterable[Sample]) -> int:
    """Write a Parquet file and return its number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [_flat(sample) for sample in samples]
    columns = _columns(rows)
    types = {name: pa.string() if name in _KEYS[:2] else pa.float64() for name in columns}
    arrays = {name: pa.array([row.get(name) for row in rows], types[name]) for name in columns}
    pq.write_table(pa.table(arrays), path)
    return len(rows)


def _columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    metrics = {name for row in rows for name in row} - set(_KEYS)
    return [*_KEYS, *sorted(metrics)]


WRITERS: Mapping[str, Callable[[Path, Iterable[Sample]], int]] = {
    ".parquet": write_parquet,
    ".csv": write_csv,
    ".json": write_json,
    ".jsonl": write_json,
}
