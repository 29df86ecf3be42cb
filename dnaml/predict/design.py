"""From the columns of a run table to arrays: codes of ids, ln sizes, and features scaled as the training rows were.

`Encoder` is fitted once on training rows and then only applied: a new category, a missing column or an absurd value
becomes "unknown", never an error and never a different answer for the other rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dnaml.datasets.table import LARGEST, feature_columns
from dnaml.predict.bound import RATES

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MOST_CATEGORIES = 24
WIDE = 30.0  # a positive column that spans more than this factor is read in ln


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How one column becomes numbers: a category to compare with, or a number, in ln or not, centred and scaled."""

    name: str
    category: str | None = None
    log: bool = False
    centre: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Design:
    """Rows as arrays. Shapes: ids [N] text, kernel [N] text, size [N, S], resource_x [N, Fr], computation_x [N, Fc].

    Features are standardised, NaN where unknown; `rates` [N, P] are the resource's known rates as they are; `y` is ln
    seconds, or None for rows to predict.
    """

    resource: npt.NDArray[np.str_]
    computation: npt.NDArray[np.str_]
    kernel: npt.NDArray[np.str_]
    size: FloatArray
    resource_x: FloatArray
    computation_x: FloatArray
    rates: FloatArray
    y: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.resource)

    @property
    def target(self) -> FloatArray:
        """Return ln seconds of rows that have been measured."""
        assert self.y is not None, "rows to predict have no target"
        return self.y

    def rows(self, chosen: npt.NDArray[np.generic]) -> "Design":
        """Return some rows, by mask or by index."""
        return Design(
            resource=self.resource[chosen],
            computation=self.computation[chosen],
            kernel=self.kernel[chosen],
            size=self.size[chosen],
            resource_x=self.resource_x[chosen],
            computation_x=self.computation_x[chosen],
            rates=self.rates[chosen],
            y=None if self.y is None else self.y[chosen],
        )

    def ordered(self) -> "Design":
        """Return the rows in an order of their own, so that the order they came in changes nothing."""
        features = [*self.computation_x.T[::-1], *self.resource_x.T[::-1]]
        return self.rows(np.lexsort((*features, self.target, self.resource, self.computation)))

    def joined(self, other: "Design") -> "Design":
        """Return these rows followed by others."""
        return Design(
            resource=np.concatenate([self.resource, other.resource]),
            computation=np.concatenate([self.computation, other.computation]),
            kernel=np.concatenate([self.kernel, other.kernel]),
            size=np.concatenate([self.size, other.size]),
            resource_x=np.concatenate([self.resource_x, other.resource_x]),
            computation_x=np.concatenate([self.computation_x, other.computation_x]),
            rates=np.concatenate([self.rates, other.rates]),
            y=np.concatenate([self.target, other.target]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """Turns frames into designs, always the same way; plain values, so that it can be stored as JSON."""

    resource: tuple[Column, ...]
    computation: tuple[Column, ...]
    size: tuple[str, ...]

    @classmethod
    def of(cls, frame: "pd.DataFrame") -> "Encoder":
        """Return the encoder fitted on training rows."""
        sizes = tuple(c for c in feature_columns(frame, "s_") if _numeric(frame, c) is not None)
        return cls(
            resource=_columns(frame, feature_columns(frame, "r_")),
            computation=_columns(frame, feature_columns(frame, "c_", "s_")),
            size=sizes,
        )

    def design(self, frame: "pd.DataFrame") -> Design:
        """Return the rows of a frame as arrays, with the target where the frame has one."""
        text = {name: _text(frame, name) for name in ("resource_id", "computation_id")}
        runtime_s = frame["runtime_s"].to_numpy(dtype=float) if "runtime_s" in frame else None
        kernel = _text(frame, "c_kernel") if "c_kernel" in frame else text["computation_id"]
        return Design(
            resource=text["resource_id"],
            computation=text["computation_id"],
            kernel=kernel,
            size=_logged(numbers(frame, self.size)),
            resource_x=encoded(frame, self.resource),
            computation_x=encoded(frame, self.computation),
            rates=numbers(frame, [f"r_{name}" for name in RATES]),
            y=None if runtime_s is None else np.log(runtime_s),
        )


def numbers(frame: "pd.DataFrame", names: Sequence[str]) -> FloatArray:
    """Return columns as floats [N, F]: NaN where one is absent, not a number or absurd."""
    import pandas as pd

    found = np.full((len(frame), len(names)), np.nan)
    for place, name in enumerate(names):
        if name in frame:
            column = frame[name]
            if column.dtype.kind not in "fiub":
                column = pd.to_numeric(column, errors="coerce")
            found[:, place] = column.to_numpy(dtype=float, na_value=np.nan)
    found[~(np.abs(found) < LARGEST)] = np.nan
    return found


def encoded(frame: "pd.DataFrame", columns: Sequence[Column]) -> FloatArray:
    """Return the encoded columns [N, F], NaN where unknown."""
    told = [place for place, column in enumerate(columns) if column.category is None]
    values = np.full((len(frame), len(columns)), np.nan)
    values[:, told] = numbers(frame, [columns[place].name for place in told])
    logged = np.array([column.log for column in columns], dtype=np.bool_)
    with np.errstate(divide="ignore", invalid="ignore"):
        values[:, logged] = np.where(values[:, logged] > 0, np.log(values[:, logged]), np.nan)
    centre, scale = (np.array([getattr(column, name) for column in columns]) for name in ("centre", "scale"))
    values[:] = np.clip((values - centre) / scale, -20.0, 20.0)
    texts = {name: _known_text(frame, name) for name in {c.name for c in columns if c.category is not None}}
    for place, column in enumerate(columns):
        if column.category is not None:
            text, known = texts[column.name]
            values[:, place] = np.where(known, text == column.category, np.nan)
    return values


def _text(frame: "pd.DataFrame", name: str) -> npt.NDArray[np.str_]:
    return np.asarray(frame[name].astype(str).to_numpy(dtype=object), dtype=np.str_)


def _known_text(frame: "pd.DataFrame", name: str) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.bool_]]:
    """Return a column as text [N] and where it has a value [N]."""
    if name not in frame:
        return np.full(len(frame), "", dtype=object), np.zeros(len(frame), dtype=np.bool_)
    column = frame[name]
    return column.astype(str).to_numpy(dtype=object), column.notna().to_numpy()


def _logged(values: FloatArray) -> FloatArray:
    logged: FloatArray = np.sign(values) * np.log1p(np.abs(values))
    return logged


def _numeric(frame: "pd.DataFrame", name: str) -> FloatArray | None:
    """Return a column as floats if its known values are numbers, else None."""
    import pandas as pd

    known = frame[name].dropna()
    numbers = pd.to_numeric(known, errors="coerce")
    return _values(frame, name) if len(known) and numbers.notna().all() else None


def _values(frame: "pd.DataFrame", name: str) -> FloatArray:
    values: FloatArray = numbers(frame, [name])[:, 0]
    return values


def _columns(frame: "pd.DataFrame", names: Sequence[str]) -> tuple[Column, ...]:
    found: list[Column] = []
    for name in names:
        values = _numeric(frame, name)
        found.extend(_categories(frame, name) if values is None else _number(name, values))
    return tuple(found)


def _number(name: str, values: FloatArray) -> list[Column]:
    known = values[np.isfinite(values)]
    if len(known) == 0 or known.min() == known.max():
        return []
    log = bool(known.min() > 0 and known.max() / known.min() > WIDE)
    known = np.log(known) if log else known
    scale = float(known.std())
    return [Column(name=name, log=log, centre=float(known.mean()), scale=scale)] if scale > 0 else []


def _categories(frame: "pd.DataFrame", name: str) -> list[Column]:
    counts = frame[name].dropna().astype(str).value_counts()
    ordered = sorted(counts.index, key=lambda value: (-int(counts[value]), value))[:MOST_CATEGORIES]
    return [Column(name=name, category=value) for value in ordered] if len(ordered) > 1 else []
