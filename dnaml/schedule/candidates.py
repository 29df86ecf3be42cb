"""The costs of a large assignment, by blocks of rows, and for each job the few resources that may become its best.

A matrix too large to be held may so be computed from DNA as it is needed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dnaml.core.plan import FloatArray, IntArray

Float32Array = npt.NDArray[np.float32]


class Costs(Protocol):
    """Gives the costs of N jobs on R resources by rows, in single precision; infinite where a pair is not allowed."""

    @property
    def shape(self) -> tuple[int, int]:
        """Return (N, R)."""
        ...

    def block(self, first: int, last: int) -> Float32Array:
        """Return the costs of the jobs from `first` up to `last` [last - first, R]; it may be a view, never changed."""
        ...

    def rows(self, index: IntArray) -> Float32Array:
        """Return the costs of these jobs [n, R]; it may be a view, never changed."""
        ...

    def columns(self, index: IntArray) -> Float32Array:
        """Return the costs of all jobs on these resources [r, N]; it may be a view, never changed."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class HeldCosts:
    """Holds a whole matrix of costs [N, R]: NaN and infinite costs mean that the pair is not allowed."""

    matrix: Float32Array

    @classmethod
    def of(cls, costs: npt.NDArray[np.floating]) -> "HeldCosts":
        """Return the costs in the form that is fastest to read."""
        return cls(np.ascontiguousarray(np.where(np.isnan(costs), np.inf, costs), dtype=np.float32))

    @property
    def shape(self) -> tuple[int, int]:
        """Return (N, R)."""
        return self.matrix.shape[0], self.matrix.shape[1]

    def block(self, first: int, last: int) -> Float32Array:
        """Return the costs of consecutive jobs."""
        return self.matrix[first:last]

    def rows(self, index: IntArray) -> Float32Array:
        """Return the costs of some jobs."""
        return self.matrix[index]

    def columns(self, index: IntArray) -> Float32Array:
        """Return the costs on some resources."""
        return self.matrix.T[index]


def blocks(costs: Costs, entries: int = 4_000_000) -> Iterator[tuple[int, int]]:
    """Yield the ranges of jobs whose costs are looked at together."""
    jobs, resources = costs.shape
    size = max(1, entries // max(1, resources))
    for first in range(0, jobs, size):
        yield first, min(jobs, first + size)


@dataclass(slots=True, eq=False)
class Candidates:
    """Lists for each job the resources that may become its best: index and cost [N, K].

    `rest` [N] is the least cost and price, at the time of choosing, of a resource not listed: as long as prices only
    rise, none of those costs less. The first `listed` are chosen so; another may follow.
    """

    index: IntArray
    cost: Float32Array
    rest: Float32Array
    listed: int

    def scale(self) -> float:
        """Return the mean cost of the jobs' best candidates, 1 where that is no measure."""
        best = self.cost.min(axis=1, initial=np.inf)
        mean = float(np.abs(best[np.isfinite(best)]).mean()) if np.isfinite(best).any() else 1.0
        return mean if mean > 0 else 1.0


def chosen_candidates(costs: Costs, price: FloatArray, count: int) -> Candidates:
    """Return for each job the `count` resources of least cost and price."""
    jobs, resources = costs.shape
    count = min(count, resources)
    found = Candidates(
        index=np.empty((jobs, count), dtype=np.int64),
        cost=np.empty((jobs, count), dtype=np.float32),
        rest=np.full(jobs, np.inf, dtype=np.float32),
        listed=count,
    )
    offset = price.astype(np.float32)
    for first, last in blocks(costs):
        part = slice(first, last)
        found.index[part], found.cost[part], found.rest[part] = least_of(costs.block(first, last), offset, count)
    return found


def least_of(block: Float32Array, price: Float32Array, count: int) -> tuple[IntArray, Float32Array, Float32Array]:
    """Return the `count` cheapest of each row, price included: index and cost [n, count], and the best left out [n].

    A threshold guessed from every eighth column leaves few entries to be partitioned; rows for which it leaves too
    few are partitioned whole.
    """
    jobs, resources = block.shape
    priced = block + price
    if count >= resources:
        index = np.broadcast_to(np.arange(resources), block.shape)
        return index, block, np.full(jobs, np.inf, dtype=np.float32)
    if resources < 8 * count:
        return _partitioned(block, priced, count)
    probe = np.partition(priced[:, ::8], min(resources // 8 - 1, count // 4 + 1), axis=1)
    limit = probe[:, min(resources // 8 - 1, count // 4 + 1), None]
    flat = np.flatnonzero(priced <= limit)
    row, column = np.divmod(flat, resources)
    have = np.bincount(row, minlength=jobs)
    enough = have > count
    width = max(int(have.max()), count + 1)
    place = np.arange(len(flat)) - np.repeat(np.cumsum(have) - have, have)
    values = np.full((jobs, width), np.inf, dtype=np.float32)
    values[row, place] = priced.ravel()[flat]
    columns = np.zeros((jobs, width), dtype=np.int64)
    columns[row, place] = column
    order, _, rest = _partitioned(values, values, count)
    index = np.take_along_axis(columns, order, axis=1)
    few = np.flatnonzero(~enough)
    if few.size:
        index[few], _, rest[few] = _partitioned(block[few], priced[few], count)
    return index, np.take_along_axis(block, index, axis=1), rest


def _partitioned(block: Float32Array, priced: Float32Array, count: int) -> tuple[IntArray, Float32Array, Float32Array]:
    order = np.argpartition(priced, count, axis=1)[:, : count + 1]
    index = order[:, :count]
    rest = np.take_along_axis(priced, order[:, count:], axis=1)[:, 0]
    return index, np.take_along_axis(block, index, axis=1), rest
