"""The store of telemetry rows, apart from the journal so that a replay never reads them.

Rows are checked at this border: one with a value that cannot be true is set aside, counted by source, and never read
by anything that learns. SQLite keeps the rows; `export` writes them as Parquet, CSV or JSON lines.
"""

import json
import math
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dnaml.core.errors import InputError, StateFolderError
from dnaml.core.types import Sample

_SCHEMA = """
CREATE TABLE IF NOT EXISTS samples (
    resource_id TEXT NOT NULL, attempt_id TEXT, at_s REAL NOT NULL, metrics TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS samples_by_attempt ON samples (attempt_id, at_s) WHERE attempt_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS samples_by_resource ON samples (resource_id, at_s);
CREATE TABLE IF NOT EXISTS refused_counts (source TEXT PRIMARY KEY, rows INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS refused (
    source TEXT NOT NULL, at_s TEXT NOT NULL, rule TEXT NOT NULL, metrics TEXT NOT NULL);
"""
_LARGEST = 1e18
"""No sensor of one machine reads more in SI units or bytes; larger is a sentinel or an overflow."""
_SIGNED = ("_c", "_delta", "_dbm")
"""Endings of the quantities that may be negative: degrees Celsius, differences, decibels."""
_REFUSED_KEPT = 1000

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def broken_rule(sample: Sample) -> str | None:
    """Return what is wrong with a sample, naming metric, rule and value, or None if every value can be true."""
    if not _is_number(sample.at_s) or not 0 < sample.at_s < _LARGEST:
        return f"at_s must be a time in seconds since 1970, got {sample.at_s!r}"
    return broken_metric(sample.metrics)


def broken_metric(metrics: Mapping[str, Any]) -> str | None:  # Any: what a broken source sent
    """Return the first metric that cannot be true, with rule and value, or None."""
    for name, value in metrics.items():
        if not _is_number(value):
            return f"{name} must be a number, got {value!r}"
        if not -_LARGEST < value < _LARGEST:  # also false for NaN
            return f"{name} must be finite and below {_LARGEST:g} in size, got {value!r}"
        if value < 0 and not name.endswith(_SIGNED):
            return f"{name} must not be negative, got {value!r}"
    return None


class SampleStore:
    """Telemetry rows in one SQLite file; safe to use from several threads. Rows become readable at `flush`."""

    def __init__(self, path: Path, *, batch: int = 256) -> None:
        """Open or create the file; raises StateFolderError if that cannot be done."""
        self._path = path
        self._batch = batch
        self._lock = threading.Lock()
        self._waiting: list[Sample] = []
        try:
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=OFF")  # telemetry may lose its tail to a power cut
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise StateFolderError(f"{path}: cannot keep telemetry: {error}") from error

    def append(self, sample: Sample) -> bool:
        """Take one row, and return whether it passed the check; a refused one is set aside and counted."""
        return self.extend((sample,)) == 1

    def extend(self, samples: Iterable[Sample]) -> int:
        """Take many rows and return how many passed the check; the others are set aside and counted."""
        checked = [(sample, broken_rule(sample)) for sample in samples]
        passed = [sample for sample, rule in checked if rule is None]
        with self._lock:
            self._waiting += passed
            full = len(self._waiting) >= self._batch
        for sample, rule in checked:
            if rule is not None:
                self._set_aside(sample, rule)
        if full:
            self.flush()
        return len(passed)

    def flush(self) -> None:
        """Write the waiting rows in one transaction; raises StateFolderError if the disk refuses, and keeps them."""
        with self._lock:
            if not self._waiting:
                return
            try:
                rows = [(s.resource_id, s.attempt_id, s.at_s, _encode(s.metrics)) for s in self._waiting]
                self._write("INSERT INTO samples VALUES (?, ?, ?, ?)", rows)
            finally:
                del self._waiting[: -10 * self._batch]  # a disk that stays full costs rows, not all memory
            self._waiting.clear()

    def rows(
        self,
        *,
        resource_id: str | None = None,
        attempt_id: str | None = None,
        since_s: float = 0.0,
        until_s: float = math.inf,
    ) -> Iterator[Sample]:
        """Yield the accepted rows of a time span, oldest first."""
        self.flush()
        wanted = {"resource_id": resource_id, "attempt_id": attempt_id}
        given = {column: value for column, value in wanted.items() if value is not None}
        where = "".join(f" AND {column} = ?" for column in given)
        cursor = self._connection.cursor()
        query = f"SELECT * FROM samples WHERE at_s >= ? AND at_s < ?{where} ORDER BY at_s, rowid"
        for resource, attempt, at_s, metrics in cursor.execute(query, (since_s, until_s, *given.values())):
            yield Sample(resource_id=resource, attempt_id=attempt, at_s=at_s, metrics=json.loads(metrics))

    def refused(self) -> dict[str, int]:
        """Return how many rows were set aside, by source."""
        with self._lock:
            return dict(self._connection.execute("SELECT source, rows FROM refused_counts ORDER BY source").fetchall())

    def refused_rows(self) -> list[dict[str, str]]:
        """Return the newest rows set aside: source, time, the rule that each broke, and its metrics as text."""
        with self._lock:
            rows = self._connection.execute("SELECT source, at_s, rule, metrics FROM refused ORDER BY rowid").fetchall()
        return [dict(zip(("source", "at_s", "rule", "metrics"), row, strict=True)) for row in rows]

    def forget(self, before_s: float) -> int:
        """Delete the rows older than a time and return how many they were; export them first to keep them."""
        self.flush()
        with self._lock:
            return self._connection.execute("DELETE FROM samples WHERE at_s < ?", (before_s,)).rowcount

    def export(self, path: Path, *, since_s: float = 0.0, until_s: float = math.inf) -> int:
        """Write rows to a `.parquet`, `.csv` or `.json` file, one column a metric, and return how many.

        A metric that a row does not have is null in Parquet, empty in CSV, absent in JSON (one object a line).
        """
        from dnaml.datasets.sample_files import WRITERS

        if path.suffix not in WRITERS:
            raise InputError(f"{path}: ending must be one of {', '.join(WRITERS)}, got {path.suffix!r}")
        return WRITERS[path.suffix](path, self.rows(since_s=since_s, until_s=until_s))

    def close(self) -> None:
        """Write what waits and close the file."""
        self.flush()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _set_aside(self, sample: Sample, rule: str) -> None:
        row = (sample.resource_id, repr(sample.at_s), rule, repr(dict(sample.metrics)))
        with self._lock:
            self._write("INSERT INTO refused VALUES (?, ?, ?, ?)", [row])
            self._write(
                "INSERT INTO refused_counts VALUES (?, 1) ON CONFLICT (source) DO UPDATE SET rows = rows + 1",
                [(sample.resource_id,)],
            )
            self._write("DELETE FROM refused WHERE rowid <= (SELECT max(rowid) FROM refused) - ?", [(_REFUSED_KEPT,)])

    def _write(self, statement: str, rows: list[Any]) -> None:  # Any: a row is a tuple of SQLite values
        try:
            self._connection.execute("BEGIN")
            try:
                self._connection.executemany(statement, rows)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StateFolderError(f"{self._path}: telemetry could not be written: {error}") from error


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
