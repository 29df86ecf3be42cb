"""Packing of gangs: best fit, and least fragmentation ("Beware of Fragmentation", Weng and others, USENIX ATC 2023).

Both keep what is held and start waiting jobs in order of arrival; a pool stands where those policies have a node.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dnaml.schedule.rounds.round import NONE, Allocation, FloatArray, IntArray, Round


@dataclass(frozen=True, slots=True, kw_only=True)
class BestFit:
    """Starts each job where the fewest units stay free; the fastest of equal ones."""

    name: str = "best_fit"
    refresh_rounds: int = 0

    def allocate(self, now: Round) -> Allocation:
        """Return what is held and each waiting job on its tightest pool."""
        return Allocation(choice=_packed(now, lambda free, left: left.astype(float)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LeastFragmentation:
    """Starts each job where it makes the fewest free units useless to the gangs that wait.

    A pool's free units are useless to a gang that is larger than them; the waiting gangs are the expected ones.
    """

    name: str = "fgd"
    refresh_rounds: int = 0

    def allocate(self, now: Round) -> Allocation:
        """Return what is held and each waiting job where the expected useless units rise least."""
        able = now.feasible
        gangs = np.where(able, now.units, np.iinfo(np.int64).max).min(axis=1, initial=np.iinfo(np.int64).max)
        sizes, counts = np.unique(gangs[(now.held == NONE) & able.any(axis=1)], return_counts=True)
        share = counts / max(1, counts.sum())

        def useless(left: IntArray) -> FloatArray:
            lost: FloatArray = ((sizes[None, :] > left[:, None]) * left[:, None]) @ share
            return lost

        return Allocation(choice=_packed(now, lambda free, left: useless(left) - useless(free)))


def _packed(now: Round, cost: Callable[[IntArray, IntArray], FloatArray]) -> IntArray:
    """Return what is held [J] and each waiting job where `cost` of the units free before and after it is least."""
    choice, free, able = now.held.copy(), now.capacity.copy(), now.feasible
    held = np.flatnonzero(choice >= 0)
    np.subtract.at(free, now.pool[choice[held]], now.units[held, choice[held]])
    for j in np.flatnonzero((choice == NONE) & able.any(axis=1)):
        fits = np.flatnonzero(able[j] & (now.units[j] <= free[now.pool]))
        if len(fits):
            there = free[now.pool[fits]]
            k = fits[np.lexsort((now.left_s[j, fits], cost(there, there - now.units[j, fits])))[0]]
            choice[j] = k
            free[now.pool[k]] -= now.units[j, k]
    return choice
