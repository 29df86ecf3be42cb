"""Assigns many jobs to resources with slots at nearly the least total cost, with a proof of how near.

An auction ("The auction algorithm", Bertsekas 1988) from estimated prices: every job without a slot bids for its best
one what it is worth to it above its second best, plus epsilon; a slot goes to the higher bid; all bid at once. The
last jobs do not bid in small steps but walk: each takes a slot whose holder moves on, along the cheapest chain of
moves to a free slot. Slots beyond the number of jobs are filled by fillers that cost nothing anywhere, so that a
price stays positive only where jobs fill a resource. A job for which every slot is dearer than waiting waits.
"""

from dataclasses import dataclass

import numpy as np

from dnaml.core.plan import FloatArray, IntArray
from dnaml.schedule.candidates import Candidates, Costs, least_of

NOBODY, FILLER = -1, -2
"""what holds a slot that no job holds: nothing yet, or a filler"""


@dataclass(slots=True, eq=False)
class Market:
    """Holds the state of an auction: the value bid for each slot and its holder [S], each job's resource and cost [N].

    Slots of resource r are `first[r]` up to `first[r + 1]`; `price` [R] is the least value of a slot of each, infinite
    without slots. `fillers` are those that have no slot yet, `spare` how many jobs must wait for want of slots.
    """

    first: IntArray
    value: FloatArray
    holder: IntArray
    price: FloatArray
    pick: IntArray
    cost: FloatArray
    fillers: int
    spare: int
    waits: IntArray

    @classmethod
    def open(cls, price: FloatArray, slots: IntArray, jobs: int) -> "Market":
        """Return a market in which every slot is free at its resource's price."""
        first = np.concatenate([[0], np.cumsum(slots)])
        return cls(
            first=first,
            value=np.repeat(price, slots).astype(np.float64),
            holder=np.full(first[-1], NOBODY, dtype=np.int64),
            price=np.where(slots > 0, price, np.inf),
            pick=np.full(jobs, NOBODY, dtype=np.int64),
            cost=np.zeros(jobs),
            fillers=max(0, int(first[-1]) - jobs),
            spare=max(0, jobs - int(first[-1])),
            waits=np.zeros(jobs, dtype=np.bool_),
        )

    @property
    def owner(self) -> IntArray:
        """Return the resource of each slot [S]."""
        return np.repeat(np.arange(len(self.price)), np.diff(self.first))

    def give_up(self, jobs: IntArray) -> None:
        """Let jobs wait; the slots they leave for good go to fillers."""
        self.waits[jobs] = True
        for_want = min(self.spare, len(jobs))
        self.spare -= for_want
        self.fillers += len(jobs) - for_want


def bid_all(
    costs: Costs, candidates: Candidates, market: Market, *, epsilon: float, waiting: float, few: int, rounds: int
) -> IntArray:
    """Let all jobs without a slot bid, round by round, until few are left or the rounds are over; return those."""
    active = np.flatnonzero((market.pick == NOBODY) & ~market.waits)
    for _ in range(rounds):
        if len(active) + market.fillers <= few:
            break
        best, least, second = two_best(costs, candidates, market.price, active)
        stays = least < waiting
        market.give_up(active[~stays])
        cost = least - market.price[best]
        bid = np.minimum(second, waiting) - cost + epsilon
        active = _settle(market, best[stays], bid[stays], cost[stays], active[stays])
        if market.fillers:
            active = np.concatenate([active, _fill(market, epsilon)])
    return active


def two_best(
    costs: Costs, candidates: Candidates, price: FloatArray, jobs: IntArray
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return each job's best resource, what it costs with its price, and what the second best does.

    Candidates are chosen anew for jobs whose second best may be one that is not listed, as far as that is affordable.
    """
    best, least, second = _listed_best(candidates, price, jobs)
    short = np.flatnonzero(second > candidates.rest[jobs])[: max(1, RESCAN_ENTRIES // costs.shape[1])]
    if short.size:
        widen(costs, candidates, price, jobs[short])
        best[short], least[short], second[short] = _listed_best(candidates, price, jobs[short])
    return best, least, np.maximum(least, np.minimum(second, candidates.rest[jobs]))


RESCAN_ENTRIES = 2_000_000
"""cost entries looked at again in one round"""


def widen(costs: Costs, candidates: Candidates, price: FloatArray, jobs: IntArray) -> None:
    """Choose the candidates of some jobs anew at these prices."""
    count = candidates.listed
    index, cost, candidates.rest[jobs] = least_of(costs.rows(jobs), price.astype(np.float32), count)
    candidates.index[jobs, :count], candidates.cost[jobs, :count] = index, cost


def _listed_best(candidates: Candidates, price: FloatArray, jobs: IntArray) -> tuple[IntArray, FloatArray, FloatArray]:
    index = candidates.index[jobs]
    total = candidates.cost[jobs] + price[index]
    row = np.arange(len(jobs))
    place = total.argmin(axis=1)
    least = total[row, place]
    total[row, place] = np.inf
    return index[row, place], least, total.min(axis=1)


def _settle(market: Market, best: IntArray, bid: FloatArray, cost: FloatArray, jobs: IntArray) -> IntArray:
    """Give slots to the highest bids; return the jobs now without one.

    The highest bid for a resource meets its cheapest slot, the next bid the next slot, each winning if it is higher.
    """
    if not jobs.size:
        return jobs
    order = np.lexsort((-bid, best))
    best, bid, cost, jobs = best[order], bid[order], cost[order], jobs[order]
    begins = np.flatnonzero(np.concatenate([[True], best[1:] != best[:-1]]))
    wanted = np.diff(np.append(begins, len(best)))
    rank = np.arange(len(best)) - np.repeat(begins, wanted)
    resource = best[begins]
    room = market.first[resource + 1] - market.first[resource]
    slot, starts = _slots_by_value(market, resource, room)
    inside = rank < np.repeat(room, wanted)
    target = slot[(np.repeat(starts, wanted) + rank)[inside]]
    wins = bid[inside] > market.value[target]
    target, winner = target[wins], jobs[inside][wins]
    out = market.holder[target]
    market.value[target], market.holder[target] = bid[inside][wins], winner
    market.pick[winner], market.cost[winner] = best[inside][wins], cost[inside][wins]
    market.price[resource] = np.minimum.reduceat(market.value[slot], starts)
    market.fillers += int((out == FILLER).sum())
    out = out[out >= 0]
    market.pick[out] = NOBODY
    return np.concatenate([out, jobs[inside][~wins], jobs[~inside]])


def _slots_by_value(market: Market, resource: IntArray, room: IntArray) -> tuple[IntArray, IntArray]:
    """Return the slots of these resources, by rising value in each, and where each resource's slots begin."""
    starts = np.cumsum(room) - room
    owner = np.repeat(np.arange(len(resource)), room)
    slot = market.first[resource][owner] + np.arange(len(owner)) - starts[owner]
    return slot[np.lexsort((market.value[slot], owner))], starts


def _fill(market: Market, epsilon: float) -> IntArray:
    """Let all fillers without a slot take the cheapest ones at once; return the jobs that held them.

    They are alike, so together they bid the price of the cheapest slot that they leave.
    """
    open_slots = np.flatnonzero(market.holder != FILLER)
    order = open_slots[np.argsort(market.value[open_slots], kind="stable")]
    slot = order[: market.fillers]
    level = market.value[order[min(len(slot), len(order) - 1)]]
    out = market.holder[slot]
    market.value[slot], market.holder[slot] = level + epsilon, FILLER
    market.fillers = 0
    has_slots = np.diff(market.first) > 0
    market.price[has_slots] = np.minimum.reduceat(market.value, market.first[:-1][has_slots])
    out = out[out >= 0]
    market.pick[out] = NOBODY
    return out
