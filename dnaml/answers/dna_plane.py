"""Resources and computations on one map by their raw DNA: what is alike lies together, work points at what suits it.

Resources lie in the two directions in which their supply differs most. A computation lies at the end of an arrow from
the middle: along it the supply of what it asks for rises. Large pools are drawn in part, by `chosen`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dnaml.core.dna import RAW_SLOTS
from dnaml.core.resource import Resource
from dnaml.core.work import Computation
from dnaml.dna.flat import Flat
from dnaml.dna.space import SLOTS, computation_dna, resource_dna

FloatArray = npt.NDArray[np.float64]
MOST_RESOURCES = 600
MOST_COMPUTATIONS = 150
CELLS = 24  # a side of the grid by which a large pool is thinned out
REACH = 0.85  # of the way to the outermost resource, for the longest arrow
TOLD, NAMED = 3, 2  # largest slots that are told of each spot, and that name an axis
_TOLD_LEAST = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A resource or computation on the map: `group` is its kind or kernel, `slots` what it has or asks for most."""

    name: str
    group: str
    x: float
    y: float
    slots: Mapping[str, float]
    used: bool = False
    """a resource that ran work of the caller"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DnaPlane:
    """A map. `axes` names the slots that weigh most in each direction, `explained_share` what each tells of all.

    `all_resources` and `all_computations` count those that there are; the map may show fewer.
    """

    resources: Sequence[Spot]
    computations: Sequence[Spot]
    axes: tuple[Sequence[str], Sequence[str]]
    explained_share: tuple[float, float]
    all_resources: int
    all_computations: int
    unknown: Sequence[str] = ()
    """resources of which no slot of the map is known: they lie nowhere"""


def dna_plane(
    resources: Sequence[Resource],
    computations: Sequence[Computation],
    used: Collection[str] = (),
    *,
    all_computations: int | None = None,
) -> DnaPlane:
    """Return the map of resources and computations; `used` are ids of resources that ran work of whoever looks.

    `all_computations` is how many there are, where not all are given. Takes about 30 us of CPU time for each.
    """
    supply = np.array([resource_dna(one).vector[:RAW_SLOTS] for one in resources], dtype=np.float64)
    supply = supply.reshape(len(resources), RAW_SLOTS)
    flat = Flat.of(supply)
    told: npt.NDArray[np.bool_] = np.asarray(np.isfinite(supply[:, flat.slots]).any(axis=1))
    places = flat.places(supply)
    shown = chosen(places, np.array([one.id in used for one in resources], dtype=np.bool_), told)
    picked = newest_of_each(computations, MOST_COMPUTATIONS)
    demand = np.array([computation_dna(one).vector[:RAW_SLOTS] for one in picked], dtype=np.float64)
    demand = demand.reshape(len(picked), RAW_SLOTS)
    arrows = _reaching(flat.arrows(demand), places[told])
    return DnaPlane(
        resources=[
            Spot(
                name=resources[r].id,
                group=resources[r].kind.name,
                x=float(places[r, 0]),
                y=float(places[r, 1]),
                slots=_largest(supply[r]),
                used=resources[r].id in used,
            )
            for r in shown
        ],
        computations=[
            Spot(name=one.id, group=one.kernel, x=float(x), y=float(y), slots=_largest(row))
            for one, (x, y), row in zip(picked, arrows.tolist(), demand, strict=True)
            if np.isfinite(row).any()
        ],
        axes=(_heaviest(flat, 0), _heaviest(flat, 1)),
        explained_share=(float(flat.explained_share[0]), float(flat.explained_share[1])),
        all_resources=len(resources),
        all_computations=len(computations) if all_computations is None else all_computations,
        unknown=[one.id for one, known in zip(resources, told.tolist(), strict=True) if not known],
    )


def chosen(places: FloatArray, used: npt.NDArray[np.bool_], told: npt.NDArray[np.bool_]) -> list[int]:
    """Return which resources [N] are drawn, by number: all up to MOST_RESOURCES.

    Of more: those that ran work of whoever looks, then the first in each of CELLS x CELLS cells of the map, then
    as many of the others as there is room for, evenly taken.
    """
    numbers = np.flatnonzero(told)
    if len(numbers) <= MOST_RESOURCES:
        return list(map(int, numbers))
    low, high = places[numbers].min(axis=0), places[numbers].max(axis=0)
    cells = np.floor((places[numbers] - low) / np.maximum(high - low, 1e-12) * (CELLS - 1e-9)).astype(np.int64)
    _, first = np.unique(cells[:, 0] * CELLS + cells[:, 1], return_index=True)
    rank = np.full(len(numbers), 2)
    rank[first] = 1
    rank[used[numbers]] = 0
    before = np.argsort(rank, kind="stable")[: min(MOST_RESOURCES, int((rank < 2).sum()))]
    others = np.flatnonzero(rank == 2)
    evenly = others[np.linspace(0, max(len(others) - 1, 0), MOST_RESOURCES - len(before)).astype(np.int64)]
    return sorted(map(int, numbers[np.concatenate([before, evenly])]))


def newest_of_each(computations: Sequence[Computation], most: int) -> list[Computation]:
    """Return at most so many computations, given oldest first: the newest of each kernel, then the newest of all."""
    if len(computations) <= most:
        return list(computations)
    newest = {one.kernel: one for one in computations}
    first = list(newest.values())[-most:]
    ids = {one.id for one in first}
    rest = (one for one in reversed(computations) if one.id not in ids)
    return [*first, *(one for one, _ in zip(rest, range(most - len(first)), strict=False))]


def _reaching(arrows: FloatArray, places: FloatArray) -> FloatArray:
    """Return arrows [N, 2] of which the longest reaches REACH of the way to the outermost resource."""
    longest = float(np.linalg.norm(arrows, axis=1).max(initial=0.0))
    furthest = float(np.linalg.norm(places, axis=1).max(initial=0.0))
    return arrows * (REACH * furthest / longest) if longest > 0 else arrows


def _largest(row: FloatArray) -> dict[str, float]:
    """Return the largest known slots of a vector by name, largest first."""
    known = [(float(value), name) for value, name in zip(row, SLOTS, strict=True) if value > _TOLD_LEAST]
    return {name: value for value, name in sorted(known, reverse=True)[:TOLD]}


def _heaviest(flat: Flat, axis: int) -> list[str]:
    """Return the names of the slots that weigh most in a direction, with the sign of their weight."""
    weights = flat.axes[axis]
    order = np.argsort(-np.abs(weights))[:NAMED]
    return [f"{'+' if weights[k] > 0 else '−'} {SLOTS[flat.slots[k]]}" for k in order if abs(weights[k]) > _TOLD_LEAST]
