"""Assigns many jobs to resources with slots: estimated prices, an auction, chains of moves, and a certified gap.

For batches too large for an exact matching: 10,000 jobs on 1,000 resources take some tenths of a second and end within
a few hundredths of a percent of the optimum; a million pairs and more are never held at once (see candidates.py).
Equal input gives an equal plan: what is drawn is drawn from a stated seed, and effort is counted in rounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.core.plan import FloatArray, IntArray
from dnaml.schedule.auction import FILLER, NOBODY, Market, bid_all
from dnaml.schedule.candidates import Candidates, Costs, HeldCosts, chosen_candidates
from dnaml.schedule.chains import Limits, walk_all
from dnaml.schedule.prices import lower_bound, refined_prices, sampled_prices
from dnaml.schedule.shortcuts import place_short

WAITS = NOBODY
"""the resource of a job that waits"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """Holds how hard to try; `epsilon`, `hop` and `slack` are shares of the mean cost of a job's best resource."""

    candidates: int = 32
    """resources kept in view for each job"""
    sample_rows: int = 3000
    sample_steps: int = 30
    refining_steps: int = 80
    epsilon: float = 0.06
    """least raise of a bid"""
    hop: float = 1e-4
    """what a move in a chain costs beside its loss"""
    slack: float = 0.2
    """how much dearer than foreseen a chain may turn out"""
    few_share: float = 0.01
    """of the jobs: so few are left to chains by the auction"""
    rounds: int = 300
    phases: int = 3
    """of chains before the last jobs are placed by short ones"""
    last_phases: int = 60
    """of chains for jobs that no short one could place"""


EFFORT = Effort()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlotPlan:
    """Gives each job its resource [N], WAITS for none; no resource has more jobs than slots.

    `total` is the cost of all, each waiting job counted with the cost of waiting, and `bound` what no plan can cost
    less than. `impossible` [n] are the jobs that may run nowhere; the others that wait found no slot worth its price.
    """

    resource: IntArray
    total: float
    bound: float
    impossible: IntArray

    @property
    def gap(self) -> float:
        """Return how far the total is above the bound at most, as a share of the bound."""
        return (self.total - self.bound) / abs(self.bound) if self.bound else float(self.total > self.bound)

    def reason(self, job: int) -> str:
        """Return why a job waits, or "" if it does not."""
        if self.resource[job] != WAITS:
            return ""
        if job in self.impossible:
            return "no resource with slots may take it"
        return "every slot it may take is worth more to other jobs"


def assign_slots(
    costs: Costs | npt.NDArray[np.floating],
    slots: Sequence[int] | IntArray,
    *,
    waiting: float | None = None,
    seed: int = 0,
    effort: Effort = EFFORT,
) -> SlotPlan:
    """Return a cheap assignment of N jobs to the slots of R resources [R] with a proof of how cheap.

    Costs [N, R] that are NaN or infinite are not allowed. `waiting` is what it costs to leave a job out; without it,
    far more than any chain of moves, so that all are placed whom the slots allow. Raises InputError for shapes or
    slots that make no sense.
    """
    table = HeldCosts.of(np.asarray(costs)) if isinstance(costs, np.ndarray) else costs
    room = np.asarray(slots, dtype=np.int64)
    jobs, resources = table.shape
    if room.shape != (resources,) or (room < 0).any():
        raise InputError(f"assignment: slots must be {resources} counts not below 0, got {room.tolist()[:8]}")
    if jobs == 0 or not room.sum():
        everyone = np.arange(jobs)
        return SlotPlan(resource=np.full(jobs, WAITS), total=0.0, bound=0.0, impossible=everyone)
    rng = np.random.default_rng(seed)
    return _solved(table, np.minimum(room, jobs), waiting, rng, effort)


def _solved(costs: Costs, slots: IntArray, waiting: float | None, rng: np.random.Generator, effort: Effort) -> SlotPlan:
    closed = np.where(slots > 0, 0.0, np.inf)  # what has no slots has no finite price
    price = sampled_prices(costs, slots, rng, rows=effort.sample_rows, iterations=effort.sample_steps) + closed
    candidates = chosen_candidates(costs, price, effort.candidates)
    price = refined_prices(candidates, price, slots, iterations=effort.refining_steps) + closed
    unit = candidates.scale()
    impossible = np.flatnonzero(~np.isfinite(candidates.cost + price[candidates.index]).any(axis=1))
    left_out = _cost_of_waiting(candidates, unit) if waiting is None else waiting
    market = Market.open(price, slots, costs.shape[0])
    market.give_up(impossible)
    limits = Limits(waiting=left_out, hop=effort.hop * unit, slack=effort.slack * unit)
    few = int(effort.few_share * costs.shape[0])
    active = bid_all(
        costs, candidates, market, epsilon=effort.epsilon * unit, waiting=left_out, few=few, rounds=effort.rounds
    )
    active = walk_all(costs, candidates, market, active, limits, phases=effort.phases)
    active = place_short(costs, candidates, market, active, left_out)
    active = walk_all(costs, candidates, market, active, limits, phases=effort.last_phases)
    market.holder[market.holder == FILLER] = NOBODY  # fillers have told the prices, now they make room
    waits = np.setdiff1d(np.flatnonzero(market.pick == WAITS), impossible)
    place_short(costs, candidates, market, waits, left_out)  # some may have given up at prices that were too high
    proofs = [price, market.price - market.price.min()]
    unsold = market.price[market.owner[market.holder < 0]]
    if unsold.size:  # what is not sold out is worth nothing: the others are worth what they are above it
        proofs.append(np.maximum(0.0, market.price - np.median(unsold)))
    bound = _bound(costs, proofs, slots, left_out)
    placed = market.pick != WAITS
    total = float(market.cost[placed].sum()) + left_out * int((~placed).sum())
    return SlotPlan(resource=market.pick, total=total, bound=min(bound, total), impossible=impossible)


def _bound(costs: Costs, prices: list[FloatArray], slots: IntArray, waiting: float) -> float:
    """Return the best bound that these prices prove."""
    return max(lower_bound(costs, price, slots, waiting) for price in prices)


def _cost_of_waiting(candidates: Candidates, unit: float) -> float:
    """Return a cost that no chain of moves among candidates reaches in practice."""
    finite = candidates.cost[np.isfinite(candidates.cost)]
    return 100.0 * max(unit, float(finite.max(initial=0.0)))
