"""From the columns of a run table to rows of arrays, and from rows to the grid of either direction.

A computation that ran at several sizes is one member per size: its id and its `s_*` values together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dnaml.datasets.table import feature_columns
from dnaml.predict.design import Encoder, encoded, numbers
from dnaml.predict.paired.grid import Entity, FloatArray, Grid, IntArray, Members, Surprise

if TYPE_CHECKING:
    import pandas as pd

TextArray = npt.NDArray[np.str_]

# Names of columns, after their prefix, that count the machines or cores of a scale-out; the first found is used.
SCALE_OUT = ("cores", "n", "nodes", "machines", "instances", "workers", "devices")
WIDE = 30.0  # telemetry that spans more than this factor is read in ln(1 + x)
REPEAT_SD, REPEAT_PRIOR_RUNS = 0.08, 4.0
MOST_ENTITIES, MOST_ITEMS = 600, 3000  # members of a grid; beyond, those that ran least are left out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Runs (or pairs) as arrays. Shapes: names [N]; raw descriptors resource [N, Fr], computation [N, Fc] (NaN where
    unknown); telemetry [N, T]; scale_out [N, 2], of resource and computation; y [N] ln seconds, NaN in pairs.
    """

    resource: TextArray
    computation: TextArray
    resource_x: FloatArray
    computation_x: FloatArray
    telemetry: FloatArray
    scale_out: FloatArray
    group: TextArray
    y: FloatArray

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, chosen: npt.NDArray[np.generic] | slice) -> "Rows":
        return Rows(**{name: getattr(self, name)[chosen] for name in Rows.__slots__})

    def names(self, entity: Entity) -> tuple[TextArray, TextArray]:
        """Return the names [N] of each row's entity and item."""
        both = self.resource, self.computation
        return both if entity is Entity.RESOURCE else both[::-1]

    def descriptors(self, entity: Entity) -> tuple[FloatArray, FloatArray]:
        """Return the raw descriptors of each row's entity and item."""
        both = self.resource_x, self.computation_x
        return both if entity is Entity.RESOURCE else both[::-1]

    def item_scale_out(self, entity: Entity) -> FloatArray:
        """Return how many machines or cores each row's item has [N], NaN where it does not say."""
        scale_out: FloatArray = self.scale_out[:, 1 if entity is Entity.RESOURCE else 0]
        return scale_out

    def joined(self, other: "Rows") -> "Rows":
        """Return these rows followed by others."""
        return Rows(**{name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in Rows.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """How one telemetry column is read: in ln(1 + x) or as it is."""

    name: str
    log: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How frames become rows; plain values, fitted once on training rows."""

    encoder: Encoder
    sized: bool
    telemetry: tuple[Telemetry, ...]
    scale_out: tuple[str, str]

    @classmethod
    def of(cls, frame: "pd.DataFrame") -> "Layout":
        """Return the layout of training rows."""
        encoder = Encoder.of(frame)
        sizes = list(encoder.size)
        varies = bool(sizes) and bool((frame.groupby("computation_id", sort=False)[sizes].nunique() > 1).any(axis=None))
        read = [_read(frame, name) for name in feature_columns(frame, "t_")]
        found = tuple(_scale_out(frame, prefixes) for prefixes in (("r_",), ("c_", "s_")))
        return cls(
            encoder=encoder,
            sized=varies,
            telemetry=tuple(column for column in read if column is not None),
            scale_out=(found[0], found[1]),
        )

    def rows(self, frame: "pd.DataFrame") -> Rows:
        """Return the rows of a frame; a column it lacks is unknown in every row."""
        computation = _text(frame, "computation_id")
        if self.sized:
            sizes = np.round(numbers(frame, self.encoder.size), 6)
            computation = np.array([f"{n}\x1f{s}" for n, s in zip(computation.tolist(), sizes.tolist(), strict=True)])
        telemetry = numbers(frame, [column.name for column in self.telemetry])
        logged = np.array([column.log for column in self.telemetry], dtype=np.bool_)
        telemetry[:, logged] = np.log1p(np.maximum(telemetry[:, logged], 0.0))
        runtime_s = numbers(frame, ["runtime_s"])[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            y = np.log(runtime_s)
        return Rows(
            resource=_text(frame, "resource_id"),
            computation=computation,
            resource_x=encoded(frame, self.encoder.resource),
            computation_x=encoded(frame, self.encoder.computation),
            telemetry=telemetry,
            scale_out=numbers(frame, self.scale_out),
            group=np.where(frame["group"].isna(), "", _text(frame, "group"))
            if "group" in frame
            else np.full(len(frame), ""),
            y=y,
        )


def grid_of(rows: Rows, entity: Entity) -> Grid:
    """Return the matrix of measured rows, members in the order of their names; of repeated runs the median counts."""
    entity_names, item_names = rows.names(entity)
    entities, e = _members(entity_names, MOST_ENTITIES)
    items, i = _members(item_names, MOST_ITEMS)
    kept = (e >= 0) & (i >= 0)
    rows, e, i = rows[kept], e[kept], i[kept]
    shape = (len(entities), len(items))
    entity_x, item_x = rows.descriptors(entity)
    cell = e * shape[1] + i
    y = np.full(shape, np.nan)
    y.flat[np.unique(cell)] = _medians(cell, rows.y)
    telemetry = np.full((shape[0] * shape[1], rows.telemetry.shape[1]), np.nan)
    telemetry[np.unique(cell)] = means(cell, rows.telemetry)
    by_cell: FloatArray = telemetry.reshape(shape[0], shape[1], -1)
    surprise = Surprise.of(by_cell)
    places = np.arange(shape[1])
    return Grid(
        entities=Members.of(entities, means(e, entity_x)),
        items=Members.of(items, means(i, item_x)),
        y=y,
        telemetry=np.stack([surprise(of_entity, places) for of_entity in by_cell]),
        surprise=surprise,
        group=_groups(e, rows.group, len(entities)),
        scale_out=means(i, rows.item_scale_out(entity)[:, None])[:, 0],
        runs=np.bincount(cell, minlength=y.size).reshape(shape).astype(np.float64),
    )


def repeat_sd(rows: Rows) -> float:
    """Return the sd of ln seconds between runs of one pair, shrunk to a usual one; pairs that ran once say nothing."""
    pair = np.char.add(np.char.add(rows.computation, "\x1f"), rows.resource)
    _, inverse = np.unique(pair, return_inverse=True)
    count = np.bincount(inverse)
    mean = np.bincount(inverse, weights=rows.y) / count
    squares = float(((rows.y - mean[inverse]) ** 2).sum())
    return float(np.sqrt((squares + REPEAT_PRIOR_RUNS * REPEAT_SD**2) / (len(rows) - len(count) + REPEAT_PRIOR_RUNS)))


def means(code: IntArray, values: FloatArray) -> FloatArray:
    """Return the mean over known values of each code that occurs, in the order of codes: [N, F] in, [M, F] out."""
    _, inverse = np.unique(code, return_inverse=True)
    known = np.isfinite(values)
    total, count = (np.zeros((int(inverse.max(initial=-1)) + 1, values.shape[1])) for _ in range(2))
    np.add.at(total, inverse, np.where(known, values, 0.0))
    np.add.at(count, inverse, known)
    with np.errstate(invalid="ignore"):
        mean: FloatArray = total / np.where(count > 0, count, np.nan)
    return mean


def _medians(code: IntArray, values: FloatArray) -> FloatArray:
    """Return the median of each code that occurs, in the order of codes."""
    order = np.lexsort((values, code))
    code, values = code[order], values[order]
    _, first, count = np.unique(code, return_index=True, return_counts=True)
    medians: FloatArray = (values[first + (count - 1) // 2] + values[first + count // 2]) / 2
    return medians


def _members(names: TextArray, most: int) -> tuple[tuple[str, ...], IntArray]:
    """Return the members, sorted, and each row's place among them; -1 for rows of members left out."""
    distinct, inverse, count = np.unique(names, return_inverse=True, return_counts=True)
    if len(distinct) > most:
        chosen = np.sort(np.argsort(-count, kind="stable")[:most])
        place = np.full(len(distinct), -1, dtype=np.int64)
        place[chosen] = np.arange(most)
        distinct, inverse = distinct[chosen], place[inverse]
    return tuple(distinct.tolist()), np.asarray(inverse, dtype=np.int64)


def _groups(code: IntArray, group: TextArray, members: int) -> IntArray:
    """Return the number of each member's group: those that share a named group are one, the others stand alone.

    The column speaks of the side whose members have one group each; of the other side it says nothing.
    """
    names, number = np.unique(group, return_inverse=True)
    of_member = np.unique(code * len(names) + number) // len(names)
    if len(of_member) > members:
        return np.arange(members)
    named = np.full(members, "", dtype=group.dtype)
    named[code] = group
    alone = np.array([name or f"\x1f{place}" for place, name in enumerate(named.tolist())])
    return np.asarray(np.unique(alone, return_inverse=True)[1], dtype=np.int64)


def _read(frame: "pd.DataFrame", name: str) -> Telemetry | None:
    values = numbers(frame, [name])[:, 0]
    known = values[np.isfinite(values)]
    if len(known) == 0 or known.min() == known.max():
        return None
    wide = known.min() >= 0 and known.max() > WIDE * max(float(np.median(known)), 1.0)
    return Telemetry(name=name, log=bool(wide))


def _scale_out(frame: "pd.DataFrame", prefixes: Sequence[str]) -> str:
    for name in (f"{prefix}{stem}" for stem in SCALE_OUT for prefix in prefixes):
        if name in frame and len(np.unique(values := numbers(frame, [name]))) > 2 and np.nanmin(values) > 0:
            return name
    return ""


def _text(frame: "pd.DataFrame", name: str) -> TextArray:
    return np.asarray(frame[name].astype(str).to_numpy(dtype=object), dtype=np.str_)
