"""From shares of time to rounds: the mechanism of Gavel ("Heterogeneity-Aware Cluster Scheduling Policies", 2020).

An allocation X [J, K] says which share of the time each job should hold each configuration. In every round the pairs
run whose X is largest against the share they received since X was last computed.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from dnaml.schedule.rounds.round import NONE, Allocation, FloatArray, IntArray, Round

_EAGER = 1e9  # a pair that was promised time and had none comes before all others


class Sharing(Protocol):
    """Computes the shares of time that the rounds realise."""

    def shares(self, now: Round) -> FloatArray:
        """Return X [J, K]: non-negative, rows summing to at most 1, pools used within their capacity on average."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Promise:
    """What was promised: `shares` [N, K] of the jobs `numbers` [N], and what each had been served by then."""

    made_s: float
    numbers: IntArray
    shares: FloatArray
    served_s: FloatArray
    owed_s: FloatArray
    seen: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Realises the shares of time of a `Sharing` round by round; they are computed anew when jobs came or went.

    `apart_s` is the least time between two computations. `only_shared` leaves units idle that no share asks for.
    """

    name: str
    sharing: Sharing
    refresh_rounds: int = 1
    apart_s: float = 1920.0
    only_shared: bool = False

    def allocate(self, now: Round) -> Allocation:
        """Return the gangs of this round and remember what was promised."""
        promise = now.memory if isinstance(now.memory, _Promise) else None
        if promise is None or self._is_stale(promise, now):
            promise = _renewed(promise, now, self.sharing.shares(now))
        shares, received_s, owed_s = _now(promise, now)
        priority = _priority(now, shares, received_s)
        choice = self._fill(now, priority, owed_s, shares)
        return Allocation(choice=choice, memory=replace(promise, seen=now.numbers))

    def _is_stale(self, promise: _Promise, now: Round) -> bool:
        if now.at_s - promise.made_s < self.apart_s and len(np.intersect1d(promise.numbers, now.numbers)):
            return False
        return not np.array_equal(promise.numbers, now.numbers)

    def _fill(self, now: Round, priority: FloatArray, owed_s: FloatArray, shares: FloatArray) -> IntArray:
        """Give each pool, fastest first, to the pairs of highest priority that still fit."""
        free = now.capacity.copy()
        choice = np.full(len(now.numbers), NONE, dtype=np.int64)
        allowed = now.feasible
        for k in range(len(now.pool)):
            order = np.lexsort((-shares[:, k], -owed_s[:, k], -priority[:, k]))
            for j in order:
                if free[now.pool[k]] == 0:
                    break
                unwanted = not allowed[j, k] or (self.only_shared and priority[j, k] <= 0)
                if choice[j] == NONE and not unwanted and now.units[j, k] <= free[now.pool[k]]:
                    free[now.pool[k]] -= now.units[j, k]
                    choice[j] = k
        return choice


def _renewed(promise: _Promise | None, now: Round, shares: FloatArray) -> _Promise:
    owed_s = np.zeros(shares.shape)
    if promise is not None:
        before, received_s, owed_s = _now(promise, now)
        owed_s = owed_s + before * (now.at_s - promise.made_s) - received_s
    return _Promise(
        made_s=now.at_s,
        numbers=now.numbers,
        shares=np.clip(shares, 0.0, 1.0),
        served_s=now.served_s.copy(),
        owed_s=owed_s,
        seen=now.numbers,
    )


def _now(promise: _Promise, now: Round) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return of the present jobs, all [J, K]: their shares, the seconds received since, and those owed before."""
    rows, old = _matching(now.numbers, promise.numbers)
    shares, owed_s = np.zeros(now.left_s.shape), np.zeros(now.left_s.shape)
    received_s = now.served_s.copy()
    shares[rows], owed_s[rows] = promise.shares[old], promise.owed_s[old]
    received_s[rows] -= promise.served_s[old]
    return shares, received_s, owed_s


def _matching(present: IntArray, known: IntArray) -> tuple[IntArray, IntArray]:
    _, rows, old = np.intersect1d(present, known, assume_unique=True, return_indices=True)
    return rows, old


def _priority(now: Round, shares: FloatArray, received_s: FloatArray) -> FloatArray:
    """Return X over the share of its pool's time that each pair received, with half a round lent to everybody."""
    lent_s = received_s + now.round_s / 2
    total_s = lent_s.sum(axis=0)
    fraction = np.divide(lent_s, total_s, out=np.zeros_like(lent_s), where=total_s > 0)
    eager = shares * _EAGER
    priority: FloatArray = np.divide(shares, fraction, out=eager, where=fraction > 0)
    return priority
