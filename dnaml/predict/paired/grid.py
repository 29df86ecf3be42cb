"""Runs as a matrix of entities by items, and one question asked of it: a `Task`.

The entity is what little is known of (a resource, or a computation), the items are what it is combined with.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from dnaml.predict.paired.sources import Sources

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

CLIP = 6.0  # of a standardised feature
LEAST_SPREAD = 1e-6


class Entity(Enum):
    """Is the side that a direction treats as the entity."""

    RESOURCE = "resource"  # a resource over computations
    COMPUTATION = "computation"  # a computation over resources


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scale:
    """Standardises descriptors as the training entities were; shapes: centre, spread [F'], kept [F] of raw columns.

    A column with gaps is followed by one that says where they are; a column that never varies is dropped.
    """

    centre: FloatArray
    spread: FloatArray
    gaps: IntArray

    @classmethod
    def of(cls, raw: FloatArray) -> "Scale":
        """Return the scale of raw descriptors [E, F], NaN where unknown."""
        known = np.isfinite(raw)
        count = np.maximum(known.sum(axis=0), 1)
        centre = np.where(known, raw, 0.0).sum(axis=0) / count
        spread = np.sqrt((np.where(known, raw - centre, 0.0) ** 2).sum(axis=0) / count)
        gaps = np.flatnonzero(known.any(axis=0) & ~known.all(axis=0))
        return cls(centre=centre, spread=spread, gaps=gaps)

    def __call__(self, raw: FloatArray) -> FloatArray:
        """Return the descriptors [N, F'] standardised: 0 where unknown, clipped, constant columns dropped."""
        varies = self.spread > LEAST_SPREAD
        scaled = (raw[:, varies] - self.centre[varies]) / self.spread[varies]
        known = np.nan_to_num(np.clip(scaled, -CLIP, CLIP), nan=0.0)
        return np.concatenate([known, np.isnan(raw[:, self.gaps]).astype(np.float64)], axis=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Members:
    """The known members of one side. Shapes: raw [M, F] descriptors as encoded, x [M, F'] standardised.

    `quantities` [F'] marks columns with more than two values: those that a linear kernel may use.
    """

    index: Mapping[str, int]
    raw: FloatArray
    scale: Scale
    x: FloatArray
    quantities: BoolArray

    @classmethod
    def of(cls, names: tuple[str, ...], raw: FloatArray) -> "Members":
        """Return the side of these members, described by `raw` [M, F]."""
        scale = Scale.of(raw)
        x = scale(raw)
        distinct = np.array([len(np.unique(column)) > 2 for column in x.T], dtype=np.bool_)
        return cls(index={name: i for i, name in enumerate(names)}, raw=raw, scale=scale, x=x, quantities=distinct)

    def __len__(self) -> int:
        return len(self.index)

    def codes(self, names: npt.NDArray[np.str_]) -> IntArray:
        """Return the place [N] of each name, -1 where unknown."""
        return np.array([self.index.get(name, -1) for name in names.tolist()], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surprise:
    """Reads telemetry as what is unusual for the item: centre [I, T] over entities, spread [T] of what is left."""

    centre: FloatArray
    spread: FloatArray

    @classmethod
    def of(cls, telemetry: FloatArray) -> "Surprise":
        """Return the reading of raw telemetry [E, I, T], NaN where unknown."""
        known = np.isfinite(telemetry)
        count = known.sum(axis=0)
        total = np.where(known, telemetry, 0.0).sum(axis=0)
        overall = total.sum(axis=0) / np.maximum(count.sum(axis=0), 1)
        centre = np.where(count > 0, total / np.maximum(count, 1), overall)
        left = np.where(known, telemetry - centre, 0.0)
        spread = np.sqrt((left**2).sum(axis=(0, 1)) / np.maximum(count.sum(axis=0), 1))
        return cls(centre=centre, spread=np.maximum(spread, LEAST_SPREAD))

    def __call__(self, telemetry: FloatArray, item: IntArray) -> FloatArray:
        """Return the standardised telemetry [N, T] of runs on items [N] (-1 for one never seen), 0 where unknown."""
        centre = np.where((item >= 0)[:, None], self.centre[np.maximum(item, 0)], self.centre.mean(axis=0))
        return np.nan_to_num(np.clip((telemetry - centre) / self.spread, -CLIP, CLIP), nan=0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """The measured matrix. Shapes: y [E, I] ln seconds (NaN where nothing ran), telemetry [E, I, T], group [E].

    Telemetry is standardised (see `Surprise`), 0 where unknown. `group` numbers what is held out together. `scale_out`
    [I] is how many machines (or cores) an item has, NaN where it says none. `runs` [E, I] stand behind each cell
    (empty: one each).
    """

    entities: Members
    items: Members
    y: FloatArray
    telemetry: FloatArray
    surprise: "Surprise"
    group: IntArray
    scale_out: FloatArray
    runs: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))

    @property
    def known(self) -> BoolArray:
        """Return where something ran [E, I]."""
        return np.isfinite(self.y)

    def with_items(self, kept: IntArray) -> "Grid":
        """Return the grid of some items alone, by their places; descriptors stay scaled as they are."""
        names = list(self.items.index)
        items = Members(
            index={names[place]: i for i, place in enumerate(kept.tolist())},
            raw=self.items.raw[kept],
            scale=self.items.scale,
            x=self.items.x[kept],
            quantities=self.items.quantities,
        )
        return Grid(
            entities=self.entities,
            items=items,
            y=self.y[:, kept],
            telemetry=self.telemetry[:, kept],
            surprise=Surprise(centre=self.surprise.centre[kept], spread=self.surprise.spread),
            group=self.group,
            scale_out=self.scale_out[kept],
            runs=self.runs[:, kept] if self.runs.size else self.runs,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """One entity, its K probes, and Q items asked about; all item arrays hold the probes first.

    Shapes: y [K] ln seconds; item [K+Q] places in the grid, -1 for an item never seen; item_x [K+Q, Fi];
    scale_out [K+Q]; entity_x [Fe]; telemetry [T], the mean over the probes, 0 where unknown; runs [K] behind each probe
    (empty: one each); own [Q, 2], the mean y and the number of runs of each pair asked about (empty: none ran).
    """

    y: FloatArray
    item: IntArray
    item_x: FloatArray
    scale_out: FloatArray
    entity_x: FloatArray
    telemetry: FloatArray
    runs: FloatArray = field(default_factory=lambda: np.zeros(0))
    own: FloatArray = field(default_factory=lambda: np.zeros((0, 2)))

    @property
    def probes(self) -> int:
        """Return how many probes there are."""
        return len(self.y)

    @property
    def asked(self) -> int:
        """Return how many items are asked about."""
        return len(self.item) - len(self.y)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What one expert says: mean and sd [Q] of ln seconds.

    `own_error` is the mean absolute error in ln seconds on the task's own probes, each left out in turn; NaN where
    there are fewer than two or the expert cannot tell.
    """

    mean: FloatArray
    sd: FloatArray
    own_error: float = float("nan")


class Member(Protocol):
    """An expert fitted on some entities of a grid."""

    def answer(self, task: Task, sources: "Sources") -> Answer | None:
        """Return what the expert says of a task; None where it cannot say anything."""
        ...


@runtime_checkable
class Joint(Protocol):
    """An expert that knows how its errors hang together."""

    def joint(self, task: Task, sources: "Sources") -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return mean [Q], covariance [Q, Q] without noise, and noise variance [Q] of ln seconds."""
        ...
