"""The last jobs of an assignment: chains of moves and short ones, on markets small enough to follow by hand."""

import numpy as np
import pytest

from dnaml.schedule import chains
from dnaml.schedule.auction import FILLER, NOBODY, Market
from dnaml.schedule.candidates import HeldCosts, chosen_candidates
from dnaml.schedule.chains import Limits, walk_all
from dnaml.schedule.shortcuts import place_short
from dnaml.schedule.slots import WAITS, Effort, assign_slots

LIMITS = Limits(waiting=100.0, hop=1e-4, slack=10.0)


def market_of(costs, slots, held):
    """Return costs, candidates and a market in which the jobs of `held` have their resources, others none."""
    table = HeldCosts.of(np.array(costs))
    market = Market.open(np.zeros(len(slots)), np.array(slots), len(costs))
    market.fillers = 0
    for job, resource in held.items():
        free = (
            market.first[resource]
            + (market.holder[market.first[resource] : market.first[resource + 1]] == NOBODY).argmax()
        )
        market.holder[free] = job
        if job >= 0:
            market.pick[job], market.cost[job] = resource, costs[job][resource]
    return table, chosen_candidates(table, np.zeros(len(slots)), len(slots)), market


def test_a_chain_moves_the_holder_that_loses_least():
    costs = [[1.0, 9.0, 50.0], [1.0, 3.0, 50.0], [50.0, 1.0, 2.0]]
    table, candidates, market = market_of(costs, [1, 1, 1], {1: 0, 2: 1})
    left = walk_all(table, candidates, market, np.array([0]), LIMITS, phases=1)
    assert left.size == 0
    assert market.pick.tolist() == [0, 1, 2]
    assert market.cost.tolist() == [1.0, 3.0, 2.0]


@pytest.mark.parametrize("sweeps", [1, 2, 60])
def test_distances_not_followed_to_their_end_still_place_jobs_in_time(sweeps, monkeypatch):
    monkeypatch.setattr(chains, "SWEEPS", sweeps)
    size = 12
    costs = np.full((size, size), 50.0)
    for i in range(size):
        costs[i, i], costs[i, (i + 1) % size] = 1.0, 2.0
    table, candidates, market = market_of(costs.tolist(), [1] * size, {i: i + 1 for i in range(size - 1)})
    left = walk_all(table, candidates, market, np.array([size - 1]), LIMITS, phases=20)
    assert left.size == 0
    assert (np.bincount(market.pick, minlength=size) == 1).all()


def test_a_filler_makes_room_for_a_job():
    table, candidates, market = market_of([[1.0, 5.0]], [1, 1], {})
    market.holder[0] = FILLER
    assert walk_all(table, candidates, market, np.array([0]), LIMITS, phases=1).size == 0
    assert market.pick.tolist() == [0]
    assert market.holder.tolist() == [0, FILLER]


def test_without_bids_chains_place_everything():
    costs = np.random.default_rng(0).random((20, 5))
    plan = assign_slots(costs, np.full(5, 5), effort=Effort(rounds=0))
    assert (plan.resource != WAITS).all()


def test_short_chains_stop_when_the_last_free_slot_is_taken():
    table, candidates, market = market_of([[1.0], [2.0], [3.0]], [1], {})
    assert place_short(table, candidates, market, np.arange(3), 100.0).tolist() == [1, 2]
    assert market.pick.tolist() == [0, NOBODY, NOBODY]
    assert place_short(table, candidates, market, np.array([1]), 100.0).tolist() == [1]


def test_a_short_chain_moves_one_job_on():
    table, candidates, market = market_of([[1.0, 9.0], [1.0, 2.0]], [1, 1], {1: 0})
    assert place_short(table, candidates, market, np.array([0]), 100.0).size == 0
    assert market.pick.tolist() == [0, 1]


def test_a_short_chain_dearer_than_waiting_is_not_made():
    table, candidates, market = market_of([[5.0, 9.0], [1.0, 9.0]], [1, 1], {1: 0})
    assert place_short(table, candidates, market, np.array([0]), 4.0).tolist() == [0]
