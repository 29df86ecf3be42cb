"""Round policies that follow one plain wish: chance, price, speed, or the earliest finish.

They keep what is held: a running job is never moved, a waiting one starts in order of arrival (or of rank) where it
fits, and others may overtake one that does not.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np

from dnaml.schedule.rounds.greedy import preferences
from dnaml.schedule.rounds.round import NONE, Allocation, FloatArray, Round


class Wish(Enum):
    """Is what a simple policy prefers."""

    CHANCE = "random"  # any configuration that fits, drawn anew for each job
    PRICE = "cheapest"  # the least money to the end
    SPEED = "fastest"  # the least time to the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Simple:
    """Starts jobs in order of arrival on what its wish prefers among the free."""

    wish: Wish
    refresh_rounds: int = 0

    @property
    def name(self) -> str:
        """Return the wish's name."""
        return self.wish.value

    def allocate(self, now: Round) -> Allocation:
        """Return what is held and as many waiting jobs as fit."""
        cost = self._cost(now)
        return Allocation(choice=start_waiting(now, np.arange(len(now.numbers)), cost))

    def _cost(self, now: Round) -> FloatArray:
        if self.wish is Wish.SPEED:
            return now.left_s
        if self.wish is Wish.PRICE:
            return now.usd_left
        draws = [np.random.default_rng((now.seed, int(n))).random(len(now.pool)) for n in now.numbers]
        return np.reshape(draws, now.left_s.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarliestFinish:
    """HEFT for independent jobs ("Performance-Effective and Low-Complexity Task Scheduling", 2002): the job with the
    largest mean runtime first, where it is predicted to end first."""

    name: str = "heft"
    refresh_rounds: int = 0

    def allocate(self, now: Round) -> Allocation:
        """Return what is held and the waiting jobs that would end first on units that are free.

        A job waits when units that are held now would be done with it sooner than any free ones.
        """
        allowed = now.feasible
        known = np.where(allowed, now.left_s, 0.0)
        rank = known.sum(axis=1) / np.maximum(1, allowed.sum(axis=1))
        ends_s = _free_in_s(now) + now.left_s
        best = np.where(allowed, ends_s, np.inf).min(axis=1, keepdims=True, initial=np.inf)
        return Allocation(
            choice=start_waiting(now, np.argsort(-rank, kind="stable"), ends_s, allowed & (ends_s <= best))
        )


def _free_in_s(now: Round) -> FloatArray:
    """Return [J, K] seconds until enough units of the pool are free for each gang, if nobody else takes them."""
    wait_s = np.zeros(now.left_s.shape)
    held = np.flatnonzero(now.held >= 0)
    pools, units = now.pool[now.held[held]], now.units[held, now.held[held]]
    ends_s = now.left_s[held, now.held[held]]
    for m in range(len(now.capacity)):
        on = np.flatnonzero(pools == m)
        on = on[np.argsort(ends_s[on], kind="stable")]
        free = int(now.capacity[m] - units[on].sum())
        steps = np.concatenate([[free], free + np.cumsum(units[on])])
        times = np.concatenate([[0.0], ends_s[on], [np.inf]])
        columns = np.flatnonzero(now.pool == m)
        wait_s[:, columns] = times[np.searchsorted(steps, now.units[:, columns])]
    return wait_s


def start_waiting(now: Round, order: np.ndarray, cost: FloatArray, allowed: np.ndarray | None = None) -> np.ndarray:
    """Return what is held [J] and, in order, each waiting job on its allowed configuration of least cost that fits."""
    choice = now.held.copy()
    free = now.capacity.copy()
    held = np.flatnonzero(choice >= 0)
    np.subtract.at(free, now.pool[choice[held]], now.units[held, choice[held]])
    preference = preferences(cost, now.feasible if allowed is None else allowed & now.feasible)
    for j in order:
        if choice[j] != NONE:
            continue
        for k in preference[j]:
            if now.units[j, k] <= free[now.pool[k]]:
                choice[j] = k
                free[now.pool[k]] -= now.units[j, k]
                break
    return choice
