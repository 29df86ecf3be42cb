"""Series in time: how many spot instances could be had, and how much work was asked for."""

import csv
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError

FloatArray = npt.NDArray[np.float64]
_CLOCKS = {"t_s": 1.0, "arrival_s": 1.0, "hour": 3600.0, "timestamp": 1.0}
"""column of the time -> seconds of one of its units; a timestamp is a date and counts from the first"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """Values [N] at times [N] from the first on; between two times the earlier value holds. Unknown values are NaN."""

    name: str
    at_s: FloatArray
    values: FloatArray

    def value_at(self, at_s: float) -> float:
        """Return the value that holds at a time; before the first it is the first."""
        return float(self.values[max(0, int(np.searchsorted(self.at_s, at_s, side="right")) - 1)])


def spot(folder: Path, name: str) -> Series:
    """Return the instances obtainable in one zone, at its change points, by the file's name without `.csv`."""
    return _read(folder, name, "available")


def demand(folder: Path, name: str, column: str | None = None) -> Series:
    """Return one series of demand; `column` picks among several (default: the first beside the time)."""
    return _read(folder, name, column)


def _read(folder: Path, name: str, column: str | None) -> Series:
    path = folder / f"{name}.csv"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.csv")))
        raise InputError(f"there is no series {name!r} in {folder}; there are {known}")
    with path.open(newline="") as lines:
        reader = csv.DictReader(lines)
        names = list(reader.fieldnames or ())
        clock = next((one for one in names if one in _CLOCKS), None)
        chosen = column or next((one for one in names if one != clock), None)
        if clock is None or chosen is None or chosen not in names:
            raise InputError(f"{path.name}: needs a time ({', '.join(_CLOCKS)}) and {column or 'a value'}, has {names}")
        rows = list(reader)
    return Series(name=name, at_s=_times(rows, clock), values=np.array([float(row[chosen] or "nan") for row in rows]))


def _times(rows: list[dict[str, str]], clock: str) -> FloatArray:
    if clock != "timestamp":
        return np.array([float(row[clock]) for row in rows]) * _CLOCKS[clock]
    dates = [datetime.fromisoformat(row[clock]) for row in rows]
    return np.array([(date - dates[0]).total_seconds() for date in dates])
