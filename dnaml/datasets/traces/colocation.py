"""Measured pairs: how much of its speed alone each of two jobs keeps when they share the same units of a pool.

A table of one's own is a plain CSV with the columns `kind_a`, `kind_b`, `pool`, `kept_a`, `kept_b`, a pair a line; the
kinds are those of the trace's column `kind`. A pair that is not in the table, or keeps 0, is never put together.
"""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Pair = tuple[str, str, str]

_COLUMNS = ("kind_a", "kind_b", "pool", "kept_a", "kept_b")
_MOST = 100.0
"""no job is sped up a hundred times by a neighbour"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Colocation:
    """Measured pairs: (kind, kind, pool) -> the share of its speed alone that the first keeps beside the second.

    Both orders of a pair are there, and only pairs in which both make progress.
    """

    kept: Mapping[Pair, float]

    @property
    def kinds(self) -> list[str]:
        """Return the kinds of jobs of which some pair was measured, in order of name."""
        return sorted({a for a, _, _ in self.kept})

    def array(self, pools: Sequence[str], pool: IntArray) -> FloatArray:
        """Return the shares [Q, Q, K] by kind, in order of name, and configuration; `pool` [K] is that of each."""
        place = {kind: i for i, kind in enumerate(self.kinds)}
        columns = {name: np.flatnonzero(pool == m) for m, name in enumerate(pools)}
        kept = np.zeros((len(place), len(place), len(pool)))
        for (a, b, name), share in self.kept.items():
            if name in columns:
                kept[place[a], place[b], columns[name]] = share
        return kept


def pairs(rows: Iterable[tuple[str, str, str, float, float]]) -> Colocation:
    """Return the table of measurements (kind, kind, pool, kept by the first, by the second); equal kinds keep alike.

    Raises InputError where a share is no number of at least 0, or two measurements of a pair disagree.
    """
    kept: dict[Pair, float] = {}
    for a, b, pool, kept_a, kept_b in rows:
        if not (0 <= kept_a <= _MOST and 0 <= kept_b <= _MOST):
            raise InputError(f"{a} beside {b} on {pool}: shares kept must be in [0, {_MOST:g}], got {kept_a}, {kept_b}")
        if a == b:
            kept_a = kept_b = math.sqrt(kept_a * kept_b)
        known = kept.get((a, b, pool), kept_a), kept.get((b, a, pool), kept_b)
        if not np.allclose(known, (kept_a, kept_b), rtol=1e-6):
            raise InputError(f"{a} beside {b} on {pool} is there twice, with {known} and {(kept_a, kept_b)}")
        kept[a, b, pool], kept[b, a, pool] = kept_a, kept_b
    return Colocation(kept={pair: share for pair, share in kept.items() if share * kept[pair[1], pair[0], pair[2]] > 0})


def load(path: Path) -> Colocation:
    """Return the table of a CSV. Raises InputError that names the line and the column of what is wrong."""
    if not path.is_file():
        raise InputError(f"there is no table of measured pairs {path}")
    with path.open(newline="") as lines:
        reader = csv.DictReader(lines)
        names = list(reader.fieldnames or ())
        if sorted(names) != sorted(_COLUMNS):
            raise InputError(f"{path.name}: needs columns {', '.join(_COLUMNS)}, has {', '.join(names)}")
        rows = [
            (
                row["kind_a"],
                row["kind_b"],
                row["pool"],
                _share(path, at, row, "kept_a"),
                _share(path, at, row, "kept_b"),
            )
            for at, row in enumerate(reader, start=2)
        ]
    return pairs(rows)


def _share(path: Path, line: int, row: Mapping[str, str | None], column: str) -> float:
    try:
        return float(row[column] or "nan")
    except ValueError:
        raise InputError(f"{path.name} line {line}: {column} must be a number, got {row[column]!r}") from None
