"""Single decisions over many unlike resources that fill up and are released, each in some microseconds.

A computation's score on a resource is a fixed part (from its DNA: one product of a vector and a matrix, kept for
computations seen before) plus how loaded the resource is now. Adding two rows and taking the least is so quick that
nothing needs to be indexed: a release is one number changed, and every decision is the exact optimum. What does not
fit is infinitely loaded, or looked past.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.core.plan import FloatArray

BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]
NOWHERE = -1
"""the answer for a computation that fits nowhere at present"""
_LOOKS = 2  # winners looked past one by one before all are checked at once
_LARGEST = 1e37  # of a score: sums below it overflow nowhere on their way
_CHUNK = 64  # computations of a batch scored together


@dataclass(slots=True, kw_only=True, eq=False)
class Picker:
    """Decides one computation after the other over R resources.

    Shapes: `dna` [R, D] such that `dna @ demand` is the score without load (log runtime and log price, lower is
    better), `capacity` [R, K] how much an idle resource has of K quantities that computations need. `load_weight`
    says how much a full resource is worse than an idle one. At most `remembered` rows of scores are
    kept, the least recently used are forgotten.
    """

    dna: Float32Array
    capacity: FloatArray
    load_weight: float = 0.2
    remembered: int = 1024
    _room: list[FloatArray] = field(init=False)  # K of [R]
    _whole: list[FloatArray] = field(init=False)
    _full: BoolArray = field(init=False)
    _load: Float32Array = field(init=False)
    _least: list[float] = field(init=False)
    _rows: OrderedDict[str, Float32Array] = field(init=False)
    _buffer: Float32Array = field(init=False)
    _columns: Float32Array = field(init=False)
    _largest: float = field(init=False)

    def __post_init__(self) -> None:
        """Raise InputError unless there is one row of capacities for each row of DNA."""
        self.dna = np.ascontiguousarray(self.dna, dtype=np.float32)
        self.capacity = np.array(self.capacity, dtype=np.float64)
        if self.dna.ndim != 2 or self.capacity.ndim != 2 or len(self.dna) != len(self.capacity):
            raise InputError(f"picker: one capacity row a resource, got {self.dna.shape} and {self.capacity.shape}")
        self._room = [column.copy() for column in self.capacity.T]
        self._whole = [np.where(column > 0, column, np.inf) for column in self.capacity.T]
        self._full = np.zeros(len(self.dna), dtype=np.bool_)
        self._load = np.zeros(len(self.dna), dtype=np.float32)
        self._least = [np.inf] * len(self._room)
        self._rows = OrderedDict()
        self._columns = np.ascontiguousarray(self.dna.T)
        self._largest = float(np.abs(self.dna).max(initial=0.0)) * self.dna.shape[1]
        self._buffer = np.empty((_CHUNK, len(self.dna)), dtype=np.float32)

    def pick(self, computation_id: str, demand: Float32Array, need: Sequence[float]) -> int:
        """Return the best resource for a computation and take what it needs [K] there, or NOWHERE.

        Equal scores go to the first resource. `demand` [D] is read only when the computation is new.
        """
        if not len(self.dna):
            return NOWHERE
        row = self._rows.get(computation_id)
        if row is None:
            row = self._remember(computation_id, _known(self.dna @ np.asarray(demand, dtype=np.float32)))
        else:
            self._rows.move_to_end(computation_id)
        self._meet(need)
        score = self._buffer[0]
        np.add(row, self._load, out=score)
        best = self._winner(score, need)
        if best != NOWHERE:
            self._take(best, need)
        return best

    def pick_many(self, demands: Float32Array, needs: FloatArray) -> list[int]:
        """Return what `pick` would for computations one after the other, new ones all: demands [B, D], needs [B, K]."""
        if not len(self.dna):
            return [NOWHERE] * len(demands)
        picks: list[int] = []
        for first in range(0, len(demands), _CHUNK):
            wanted = np.asarray(needs[first : first + _CHUNK], dtype=np.float64)
            self._meet(wanted.min(axis=0).tolist())
            scores, some = self._buffer[: len(wanted)], np.asarray(demands[first : first + _CHUNK], dtype=np.float32)
            np.matmul(some, self._columns, out=scores)
            if not float(np.abs(some).max(initial=0.0)) * self._largest < _LARGEST:  # else every score is a number
                _known(scores)
            scores += self._load
            picks += self._settle_all(scores, wanted)
        return picks

    def _settle_all(self, scores: Float32Array, needs: FloatArray) -> list[int]:
        """Settle computations in order; what earlier ones have taken is looked at anew only where it could matter.

        Loads only rise while a batch is settled, so the best of a row stays the best unless it was taken from.
        """
        picks: list[int] = []
        before: dict[int, float] = {}  # the load at scoring of what was taken from since
        least = scores.argmin(axis=1)
        fits = np.ones(len(least), dtype=np.bool_)
        for room, column in zip(self._room, needs.T, strict=True):
            fits &= room[least] >= column
        for score, best, fit, need in zip(scores, least.tolist(), fits.tolist(), needs.tolist(), strict=True):
            if best in before or not fit:
                changed = list(before)
                score[changed] += self._load[changed] - np.array(list(before.values()), dtype=np.float32)
                best = self._winner(score, need)
            elif not score[best] < np.inf:
                best = NOWHERE
            picks.append(best)
            if best != NOWHERE:
                before.setdefault(best, self._load.item(best))
                self._take(best, need)
        return picks

    @property
    def free(self) -> FloatArray:
        """Return what is left on each resource [R, K]."""
        return np.column_stack(self._room)

    def release(self, resource: int, need: Sequence[float]) -> None:
        """Give back what a computation needed on its resource."""
        self._take(resource, [-amount for amount in need])

    def _remember(self, computation_id: str, row: Float32Array) -> Float32Array:
        self._rows[computation_id] = row
        if len(self._rows) > self.remembered:
            self._rows.popitem(last=False)
        return row

    def _winner(self, score: Float32Array, need: Sequence[float]) -> int:
        """Return the resource of least score that has room, or NOWHERE; the scores are used up."""
        for _ in range(_LOOKS):
            best = int(score.argmin())
            if not score[best] < np.inf:
                return NOWHERE
            if self._fits(best, need):
                return best
            score[best] = np.inf
        full = self._full
        np.less(self._room[0], need[0], out=full)
        for quantity in range(1, len(need)):
            full |= self._room[quantity] < need[quantity]
        np.copyto(score, np.inf, where=full)
        best = int(score.argmin())
        return best if score[best] < np.inf else NOWHERE

    def _fits(self, resource: int, need: Sequence[float]) -> bool:
        return all(room.item(resource) >= amount for room, amount in zip(self._room, need, strict=True))

    def _take(self, resource: int, need: Sequence[float]) -> None:
        load = 0.0
        for room, whole, least, amount in zip(self._room, self._whole, self._least, need, strict=True):
            room[resource] = left = room.item(resource) - amount
            load = max(load, np.inf if left < least else self.load_weight * (1.0 - left / whole.item(resource)))
        self._load[resource] = load

    def _meet(self, need: Sequence[float]) -> None:
        """Note the least that was ever needed of each quantity: with less left, a resource is full to all."""
        if all(amount >= least for amount, least in zip(need, self._least, strict=True)):
            return
        self._least = [min(amount, least) for amount, least in zip(need, self._least, strict=True)]
        used = [1.0 - room / whole for room, whole in zip(self._room, self._whole, strict=True)]
        full = [room < least for room, least in zip(self._room, self._least, strict=True)]
        load = np.where(np.any(full, axis=0), np.inf, self.load_weight * np.maximum(0.0, np.max(used, axis=0)))
        self._load[:] = load


def _known(scores: Float32Array) -> Float32Array:
    """Return the scores with those that are not numbers made infinite, in place."""
    if np.isnan(scores.sum()):  # a sum is quicker than looking at each
        np.nan_to_num(scores, copy=False, nan=np.inf, posinf=np.inf, neginf=-np.inf)
    return scores
