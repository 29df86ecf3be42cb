"""Amounts over time in bounded memory: bins that become twice as wide whenever there would be too many of them.

A bin's width is the first width times a power of two and its edges are multiples of that, so joining two is exact.
Amounts may come in any order.
"""

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from dnaml.core.errors import InputError

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin(Generic[K]):
    """What came from `at_s` on, for as long as a bin is wide: the sum of each name's amounts."""

    at_s: float
    amounts: Mapping[K, float]


class Timeline(Generic[K]):
    """Sums of named amounts in at most `most` bins; with `rest`, a bin keeps `names` names and adds up the others."""

    def __init__(self, *, width_s: float = 1.0, most: int = 240, names: int = 32, rest: K | None = None) -> None:
        if not (math.isfinite(width_s) and width_s > 0 and most >= 2):
            raise InputError(f"timeline: must have 2 bins or more of positive width, got {most} of {width_s} s")
        self.width_s = width_s
        self._most, self._names, self._rest = most, names, rest
        self._bins: dict[int, dict[K, float]] = {}
        self._first, self._last = 0, -1

    def add(self, at_s: float, name: K, amount: float = 1.0) -> None:
        """Add an amount at a moment; raise InputError for a moment or an amount that is not finite."""
        if not (math.isfinite(at_s) and math.isfinite(amount)):
            raise InputError(f"timeline: {name} must be finite, got {amount} at {at_s}")
        found = self._bin(at_s)
        found[name] = found.get(name, 0.0) + amount

    def count(self, at_s: float, names: Iterable[K]) -> None:
        """Add one for each of several names at once."""
        if not math.isfinite(at_s):
            raise InputError(f"timeline: moments must be finite, got {at_s}")
        found = self._bin(at_s)
        for name in names:
            found[name] = found.get(name, 0.0) + 1.0

    def bins(self, until_s: float | None = None) -> list[Bin[K]]:
        """Return the bins from the first amount to the last, or to a later moment; those without any are empty."""
        if not self._bins:
            return []
        last = self._last if until_s is None else max(self._last, math.floor(until_s / self.width_s))
        last = min(last, self._first + self._most - 1)
        return [Bin(at_s=place * self.width_s, amounts=self._of(place)) for place in range(self._first, last + 1)]

    def totals(self) -> dict[K, float]:
        """Return the sum of each name over all time."""
        found: dict[K, float] = {}
        for place in self._bins:
            _add_all(found, self._of(place))
        return found

    def _bin(self, at_s: float) -> dict[K, float]:
        place = math.floor(at_s / self.width_s)
        found = self._bins.get(place)
        if found is None:
            place = self._made(place, at_s)
            found = self._bins[place]
        if self._rest is not None and len(found) > 2 * self._names:
            found = self._bins[place] = self._folded(found)
        return found

    def _of(self, place: int) -> dict[K, float]:
        found = self._bins.get(place, {})
        return self._folded(found) if self._rest is not None and len(found) > self._names else dict(found)

    def _made(self, place: int, at_s: float) -> int:
        """Make the bin of a moment, and return its place after all became wider where that was needed."""
        if not self._bins:
            self._first, self._last = place, place
        first, last = min(self._first, place), max(self._last, place)
        while last - first >= self._most:
            self._widen()
            place = math.floor(at_s / self.width_s)
            first, last = min(self._first, place), max(self._last, place)
        self._first, self._last = first, last
        self._bins.setdefault(place, {})
        return place

    def _widen(self) -> None:
        self.width_s *= 2.0
        joined: dict[int, dict[K, float]] = {}
        for place, amounts in self._bins.items():
            _add_all(joined.setdefault(place // 2, {}), amounts)
        self._bins = joined
        self._first, self._last = min(joined), max(joined)

    def _folded(self, found: Mapping[K, float]) -> dict[K, float]:
        """Return the largest amounts by name, the sum of all others under `rest`."""
        assert self._rest is not None
        by_size = sorted((name for name in found if name != self._rest), key=lambda name: -found[name])
        kept = {name: found[name] for name in by_size[: self._names]}
        left = sum(found[name] for name in by_size[self._names :]) + found.get(self._rest, 0.0)
        return {**kept, self._rest: left} if left else kept


def _add_all(onto: dict[K, float], amounts: Mapping[K, float]) -> None:
    for name, amount in amounts.items():
        onto[name] = onto.get(name, 0.0) + amount
