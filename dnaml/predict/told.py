"""What a trained model said of pairs, kept: it is asked about a computation once, on all resources that are known.

Answers stand in arrays over every resource that was ever asked about, so that a pool of ten thousand costs a look-up.
What is kept only saves time: it never changes an answer.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from dnaml.core.types import Computation, Resource

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Key = tuple[object, ...]

MOST_VALUES = 8_000_000  # quantiles kept
MOST_PARTS = 16
MOST_GONE = 4  # times as many resources as are asked about, and FEW: beyond, those that nobody asks about are forgotten
FEW = 1_024
MOST_SINGLE = 100_000  # medians of single pairs


class PairModel(Protocol):
    """Answers runtime quantiles slowly and well."""

    @property
    def version(self) -> str:
        """Name the model, for the journal."""
        ...

    def pair_quantiles(self, computations: Sequence[Computation], resources: Sequence[Resource]) -> FloatArray:
        """Return runtime quantiles [C, R, Q] at LEVELS, finite, positive and not falling."""
        ...


@runtime_checkable
class PoolModel(Protocol):
    """Can be prepared for resources, so that each computation is answered on all of them in one pass."""

    def asked_by(self, resources: Sequence[Resource]) -> Callable[[Computation], FloatArray]:
        """Return what gives the quantiles [R, Q] of a computation on these resources."""
        ...


class _Part:
    """Resources that came together, and the model prepared for them."""

    def __init__(self, model: PairModel, resources: Sequence[Resource]) -> None:
        self.resources = list(resources)  # holding them keeps their identities taken
        self._model = model
        self._asked_by = model.asked_by(self.resources) if isinstance(model, PoolModel) else None

    def rows(self, computations: Sequence[Computation]) -> Sequence[FloatArray]:
        """Return the quantiles [R, Q] of each computation."""
        if self._asked_by is None:
            return list(self._model.pair_quantiles(computations, self.resources))
        return [self._asked_by(computation) for computation in computations]


class Told:
    """What one model said. A resource is the very value that was asked about: another description is another one."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._place: dict[int, int] = {}
        self._parts: list[_Part] = []
        self._rows: dict[Key, FloatArray] = {}  # [n, Q] over the first n places
        self._single: dict[Key, float] = {}
        self._held: list[Resource] = []  # those of single pairs
        self._newest: tuple[Sequence[Resource], IntArray] = ((), np.zeros(0, dtype=np.int64))

    def ask(self, model: PairModel, computations: Sequence[Computation], resources: Sequence[Resource]) -> IntArray:
        """Return the places [R] of resources, once the model has said what it thinks of every pair."""
        places = self._places(model, resources)
        count = len(self._place)
        if sum(row.size for row in self._rows.values()) > MOST_VALUES:
            self._rows.clear()
        begin = 0
        for part in self._parts:
            end = begin + len(part.resources)
            short = {key_of(c): c for c in computations if len(self._rows.get(key_of(c), ())) < end}
            for key, row in zip(short, part.rows(list(short.values())) if short else (), strict=True):
                self._rows[key] = np.concatenate([self._rows[key], row]) if begin else row
            begin = end
        assert begin == count, "every resource is of one part"
        return places

    def quantiles(self, model: PairModel, computation: Computation, resources: Sequence[Resource]) -> FloatArray:
        """Return what the model says of a computation on resources [R, Q]."""
        return self._rows_of(computation, self.ask(model, [computation], resources))

    def log_median(self, model: PairModel, computation: Computation, resource: Resource) -> float:
        """Return ln of the median of one pair; a pair that nobody asked about is asked alone."""
        key, place = key_of(computation), self._place.get(id(resource))
        row = self._rows.get(key)
        if place is not None and row is not None and place < len(row):
            return float(np.log(row[place, row.shape[1] // 2]))
        pair = (*key, id(resource))
        if pair not in self._single:
            if len(self._single) >= MOST_SINGLE:
                self._single.clear()
                self._held.clear()
            values = model.pair_quantiles([computation], [resource])[0, 0]
            self._single[pair] = float(np.log(values[len(values) // 2]))
            self._held.append(resource)
        return self._single[pair]

    def _rows_of(self, computation: Computation, places: IntArray) -> FloatArray:
        rows: FloatArray = self._rows[key_of(computation)][places]
        return rows

    def _places(self, model: PairModel, resources: Sequence[Resource]) -> IntArray:
        """Return the places [R] of resources; those never asked about become a part of their own."""
        if resources is self._newest[0]:
            return self._newest[1]
        new = list({id(one): one for one in resources if id(one) not in self._place}.values())
        if len(self._place) + len(new) > MOST_GONE * len(resources) + FEW:
            self._clear()
            new = list({id(one): one for one in resources}.values())
        if new:
            self._place.update((id(one), place) for place, one in enumerate(new, len(self._place)))
            self._parts.append(_Part(model, new))
            if len(self._parts) > MOST_PARTS:
                self._parts = [_Part(model, [one for part in self._parts for one in part.resources])]
        places = np.fromiter((self._place[id(one)] for one in resources), dtype=np.int64, count=len(resources))
        self._newest = (resources, places)
        return places


def key_of(computation: Computation) -> Key:
    """Return what identifies a computation to a model: its names and features."""
    return (computation.id, computation.kernel, *computation.size.items(), *computation.demand.items())
