"""Places the very last jobs of an assignment by the cheapest chain of at most one move, by true costs.

A job takes a free slot, or the slot of a job that moves on to a free one. When a hundred jobs of a hundred thousand
are left, this costs less than finding longer chains, and hardly more than they would in the objective.
"""

import numpy as np

from dnaml.core.plan import IntArray
from dnaml.schedule.auction import NOBODY, Market
from dnaml.schedule.candidates import Candidates, Costs, Float32Array

FREE_ENTRIES = 20_000_000
"""most costs of resources with a free slot that are looked at"""


def place_short(costs: Costs, candidates: Candidates, market: Market, active: IntArray, waiting: float) -> IntArray:
    """Place jobs without a slot, one after the other; return those for which nothing costs less than waiting."""
    free = np.unique(market.owner[market.holder == NOBODY])[: max(1, FREE_ENTRIES // max(1, len(market.pick)))]
    if not active.size or not free.size:
        return active
    to_free = np.array(costs.columns(free))  # [F, N]; the row of a resource that has become full is infinite
    for done, who in enumerate(active.tolist()):
        if not (market.holder == NOBODY).any():
            return active[done:]
        _place(who, candidates, market, free, to_free, waiting)
    left: IntArray = active[market.pick[active] == NOBODY]
    return left


def _place(
    who: int, candidates: Candidates, market: Market, free: IntArray, to_free: Float32Array, waiting: float
) -> None:
    """Place one job where that adds less than waiting does."""
    direct = int(to_free[:, who].argmin())
    slot, mover, cost = _moved(who, candidates, market)
    onward = to_free[:, mover]  # [F, n]
    target = onward.argmin(axis=0)
    added = cost + onward[target, np.arange(len(mover))] - market.cost[mover]
    best = int(added.argmin()) if added.size else 0
    if added.size and added[best] < min(waiting, float(to_free[direct, who])):
        resource = int(market.pick[mover[best]])
        _enter(int(mover[best]), int(target[best]), market, free, to_free)
        market.holder[slot[best]], market.pick[who], market.cost[who] = who, resource, cost[best]
    elif to_free[direct, who] < waiting:
        _enter(who, direct, market, free, to_free)


def _moved(who: int, candidates: Candidates, market: Market) -> tuple[IntArray, IntArray, Float32Array]:
    """Return the slots of a job's candidates that other jobs hold [n], those jobs, and its own cost there."""
    listed = candidates.index[who]
    room = market.first[listed + 1] - market.first[listed]
    owner = np.repeat(np.arange(len(listed)), room)
    slot = market.first[listed][owner] + np.arange(len(owner)) - (np.cumsum(room) - room)[owner]
    taken = market.holder[slot] >= 0
    return slot[taken], market.holder[slot[taken]], candidates.cost[who][owner[taken]]


def _enter(who: int, row: int, market: Market, free: IntArray, to_free: Float32Array) -> None:
    """Give a job a free slot of a resource."""
    resource = int(free[row])
    market.pick[who], market.cost[who] = resource, to_free[row, who]
    slots = market.holder[market.first[resource] : market.first[resource + 1]]
    slots[int((slots == NOBODY).argmax())] = who
    if not (slots == NOBODY).any():
        to_free[row] = np.inf
