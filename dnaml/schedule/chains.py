"""Places the last jobs of an auction by chains of moves: a job takes a slot, its holder moves on, ... to a free slot.

`distances` holds for each resource the least sum of losses along such a chain, found for all resources together; each
job then walks along what it says. Prices raised by the distances keep every job as near to its best choice as it was,
in one step where bidding would raise them by epsilon at a time, thousands of rounds long.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from dnaml.core.plan import FloatArray, IntArray
from dnaml.schedule.auction import FILLER, NOBODY, RESCAN_ENTRIES, Market, two_best, widen
from dnaml.schedule.candidates import Candidates, Costs

SWEEPS = 60
"""most moves of a chain that are looked ahead"""
LONGEST = 60
"""most moves of one chain that are made"""
FREE_ENTRIES = 4_000_000
"""most costs of resources with a free slot that are looked at in one phase"""
ENDS = -3


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Holds what chains go by, in the unit of costs: what waiting costs; what a move costs beside its loss, so that
    shorter chains are preferred; and how much worse than the distances said a chain may turn out."""

    waiting: float
    hop: float
    slack: float


def walk_all(
    costs: Costs, candidates: Candidates, market: Market, active: IntArray, limits: Limits, *, phases: int
) -> IntArray:
    """Place jobs and fillers that have no slot by chains of moves; return the jobs for which no chain was found."""
    candidates = _one_more(candidates)
    for phase in range(phases):
        if not active.size:  # fillers without a slot may have whichever are left
            break
        _list_free(costs, candidates, market)
        away = distances(candidates, market, limits)
        _, least, _ = two_best(costs, candidates, market.price, active)
        walker = _Walker(candidates, market, away.copy(), replace(limits, slack=limits.slack * 2.0**phase))
        order = active[np.argsort(-least, kind="stable")]
        active = np.array([j for j in order.tolist() if not walker.place(j)], dtype=np.int64)
        fillers, market.fillers = market.fillers, 0
        market.fillers += sum(not walker.place(FILLER) for _ in range(fillers))
        _raise_prices(costs, candidates, market, away)
    return active


def _one_more(candidates: Candidates) -> Candidates:
    """Return the candidates with room for one more a job."""
    jobs = len(candidates.rest)
    return Candidates(
        index=np.concatenate([candidates.index, np.zeros((jobs, 1), dtype=np.int64)], axis=1),
        cost=np.concatenate([candidates.cost, np.full((jobs, 1), np.inf, dtype=np.float32)], axis=1),
        rest=candidates.rest,
        listed=candidates.listed,
    )


def _list_free(costs: Costs, candidates: Candidates, market: Market) -> None:
    """List for each job the resource with a free slot that costs it least, whether it was a candidate or not."""
    free = np.unique(market.owner[market.holder == NOBODY])
    free = free[: max(1, FREE_ENTRIES // len(market.pick))]
    if not free.size:
        candidates.cost[:, -1] = np.inf
        return
    cost = costs.columns(free)
    best = (cost + market.price[free, None].astype(np.float32)).argmin(axis=0)
    candidates.index[:, -1] = free[best]
    candidates.cost[:, -1] = cost[best, np.arange(cost.shape[1])]


def distances(candidates: Candidates, market: Market, limits: Limits) -> FloatArray:
    """Return how far each resource is from a free slot [R]: shortest paths from all at once (Bellman-Ford).

    A move costs what it makes worse for who moves, price included, and a hop; a job may also end a chain by waiting.
    """
    job = np.flatnonzero(market.pick >= 0)
    job = job[np.argsort(market.pick[job], kind="stable")]
    column = market.pick[job]
    begins = np.flatnonzero(np.concatenate([[True], column[1:] != column[:-1]])) if job.size else job
    here = column[begins]
    index = np.ascontiguousarray(candidates.index[job].T)  # [K, n], so that the least of K is taken along rows
    total = candidates.cost[job].T + market.price[index]
    held = market.cost[job] + market.price[column]
    loss = np.where(index == column, np.inf, np.maximum(0.0, total - held) + limits.hop)
    away = np.full(len(market.price), np.inf)
    if job.size:
        away[here] = np.minimum.reduceat(np.maximum(0.0, limits.waiting - held), begins)
    owner = market.owner
    away[owner[market.holder == NOBODY]] = 0.0
    filled = np.unique(owner[market.holder == FILLER])
    by_price = np.argsort(market.price, kind="stable")
    for _ in range(SWEEPS):
        before = away.copy()
        if job.size:
            away[here] = np.minimum(away[here], np.minimum.reduceat((loss + away[index]).min(axis=0), begins))
        away[filled] = np.minimum(away[filled], _filler_ways(market.price, away, by_price)[filled] + limits.hop)
        if np.array_equal(away, before):
            break
    return away


def _filler_ways(price: FloatArray, away: FloatArray, by_price: IntArray) -> FloatArray:
    """Return the least of `max(0, price[t] - price[r]) + away[t]` over all t for each r: a filler's best way on."""
    with np.errstate(invalid="ignore"):  # a resource without slots has an infinite price: inf - inf
        ahead = np.minimum.accumulate((price + away)[by_price][::-1])[::-1] - price[by_price]
    behind = np.minimum.accumulate(away[by_price])
    ways = np.empty(len(price))
    ways[by_price] = np.fmin(ahead, behind)
    return ways


def _raise_prices(costs: Costs, candidates: Candidates, market: Market, away: FloatArray) -> None:
    """Raise the prices by the distances, where there is no way to a free slot by the longest.

    Jobs for which something not listed may now be best have their candidates chosen anew, as far as affordable.
    """
    finite = np.isfinite(away)
    rise = np.where(finite, away, away[finite].max(initial=0.0))
    market.value += rise[market.owner]
    market.price += rise  # infinite prices stay so
    job = np.flatnonzero(market.pick >= 0)
    held = market.cost[job] + market.price[market.pick[job]]
    doubtful = job[held > candidates.rest[job]][: max(1, RESCAN_ENTRIES // costs.shape[1])]
    if doubtful.size:
        widen(costs, candidates, market.price, doubtful)


class _Way(NamedTuple):
    """Says who leaves a resource (the place of its slot there), where it goes, at what cost, and how far that is."""

    place: int
    target: int
    cost: float
    far: float


class _Walker:
    """Moves jobs along the distances; what it learns on the way about longer ones, it keeps."""

    def __init__(self, candidates: Candidates, market: Market, away: FloatArray, limits: Limits) -> None:
        self._candidates, self._market, self._limits = candidates, market, limits
        self._away = away

    def place(self, who: int) -> bool:
        """Find a slot for a job or a filler; where the chain comes to no good end, leave all as it was: False."""
        market, away = self._market, self._away
        made: list[tuple[int, int, int, float]] = []
        learnt: list[tuple[int, float]] = []
        mover, way = who, self._entry(who)
        slack = self._limits.slack
        while way.target >= 0 and slack >= 0 and len(made) < LONGEST:
            here, before = way.target, float(away[way.target])
            away[here] = np.inf  # no chain enters a resource twice
            onward = self._leaver(here)
            slot = int(market.first[here]) + onward.place
            made.append((slot, mover, here, way.cost))
            learnt.append((here, max(before, onward.far)))
            slack -= max(0.0, onward.far - before)
            mover, way = int(market.holder[slot]), onward
        for here, far in learnt:  # what earlier chains have taken makes ways longer
            away[here] = far
        ended = way.target == ENDS and slack >= 0
        if ended:
            self._commit(made, mover)
        return ended

    def _entry(self, who: int) -> _Way:
        """Return where a job or filler without a slot goes: ENDS to wait, NOBODY for nowhere."""
        market = self._market
        if who == FILLER:
            total = market.price + self._away
            best = int(total.argmin())
            return _Way(0, best if np.isfinite(total[best]) else NOBODY, 0.0, 0.0)
        index, cost = self._candidates.index[who], self._candidates.cost[who]
        total = cost + market.price[index] + self._away[index]
        place = int(total.argmin())
        if total[place] < self._limits.waiting:
            return _Way(0, int(index[place]), float(cost[place]), 0.0)
        return _Way(0, ENDS, 0.0, 0.0)

    def _leaver(self, here: int) -> _Way:
        """Return who loses least by moving on from here; a free slot is left by nobody, who goes nowhere."""
        market, limits = self._market, self._limits
        slots = market.holder[market.first[here] : market.first[here + 1]]
        free = int((slots == NOBODY).argmax())
        if slots[free] == NOBODY:
            return _Way(free, ENDS, 0.0, 0.0)
        way = _Way(0, NOBODY, 0.0, np.inf)
        jobs = np.flatnonzero(slots >= 0)
        if jobs.size:
            way = self._job_leaver(here, jobs, slots[jobs])
        filler = int((slots == FILLER).argmax())
        if slots[filler] == FILLER:
            ways = np.maximum(0.0, market.price - market.price[here]) + self._away
            target = int(ways.argmin())
            if ways[target] + limits.hop < way.far:
                way = _Way(filler, target, 0.0, float(ways[target]) + limits.hop)
        return way

    def _job_leaver(self, here: int, places: IntArray, held: IntArray) -> _Way:
        """Return which of the jobs held here [n] loses least by moving on or by waiting."""
        market, limits = self._market, self._limits
        index, cost = self._candidates.index[held], self._candidates.cost[held]
        own = market.cost[held] + market.price[here]
        far = np.maximum(0.0, cost + market.price[index] - own[:, None]) + self._away[index]
        row, place = divmod(int(far.argmin()), far.shape[1])
        least = float(far[row, place]) + limits.hop
        leaves = np.maximum(0.0, limits.waiting - own)
        waiter = int(leaves.argmin())
        if leaves[waiter] < least:
            return _Way(int(places[waiter]), ENDS, 0.0, float(leaves[waiter]))
        target = int(index[row, place]) if np.isfinite(least) else NOBODY
        return _Way(int(places[row]), target, float(cost[row, place]), least)

    def _commit(self, made: list[tuple[int, int, int, float]], waiter: int) -> None:
        market = self._market
        if waiter >= 0:
            market.pick[waiter] = NOBODY
            market.give_up(np.array([waiter]))
        for slot, who, resource, cost in made:
            market.holder[slot] = who
            if who >= 0:
                market.pick[who], market.cost[who] = resource, cost
