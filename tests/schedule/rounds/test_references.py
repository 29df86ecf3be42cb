"""What each reference policy is known for, on problems small enough to check by hand."""

from dataclasses import replace

import numpy as np
import pytest

from dnaml.schedule.rounds.allox import AlloX
from dnaml.schedule.rounds.choose import cheapest_columns
from dnaml.schedule.rounds.fifo import Fifo
from dnaml.schedule.rounds.gavel import FinishTimeFairness, Makespan, MaxMinFairness, Throughput
from dnaml.schedule.rounds.programs import most
from dnaml.schedule.rounds.reference import REFERENCES
from dnaml.schedule.rounds.shares import Shares
from dnaml.schedule.rounds.sia import Sia
from dnaml.schedule.rounds.simple import EarliestFinish
from dnaml.schedule.rounds.srpt import Srpt
from tests.schedule.rounds.rounds import a_round, drawn


def test_fifo_lets_nobody_overtake_and_the_aware_one_takes_the_fastest():
    now = a_round([[10.0, 5.0], [9.0, 9.0], [1.0, 1.0]], units=[[1, 1], [2, 2], [1, 1]], capacity=(1, 2))
    assert Fifo(aware=True).allocate(replace(now, capacity=np.array([0, 2]))).choice.tolist() == [1, -1, -1]
    assert Fifo(aware=True).allocate(now).choice[0] == 1
    assert {Fifo().allocate(replace(now, seed=seed)).choice[0] for seed in range(9)} == {0, 1}


def test_simple_wishes():
    now = a_round([[10.0, 30.0]], price=(4.0, 1.0))
    assert REFERENCES["fastest"].allocate(now).choice.tolist() == [0]
    assert REFERENCES["cheapest"].allocate(now).choice.tolist() == [1]
    assert {REFERENCES["random"].allocate(replace(now, seed=seed)).choice[0] for seed in range(9)} == {0, 1}


def test_a_job_waits_for_a_fast_pool_that_is_free_soon_enough():
    now = a_round([[5.0, 90.0], [10.0, 40.0]], held=[0, -1])
    assert EarliestFinish().allocate(now).choice.tolist() == [0, -1]
    late = replace(now, left_s=np.array([[50.0, 90.0], [10.0, 40.0]]))
    assert EarliestFinish().allocate(late).choice.tolist() == [0, 1]


def test_the_shortest_gang_goes_first_and_preempts():
    now = a_round([[30.0], [8.0], [20.0]], units=[[1], [4], [1]], capacity=(2,), price=(1.0,), held=[0, -1, -1])
    now = replace(now, capacity=np.array([4]))
    assert Srpt().allocate(now).choice.tolist() == [0, -1, 0]


def test_allox_puts_the_short_job_first_on_the_unit_they_share():
    now = a_round([[30.0], [5.0]], capacity=(1,), price=(1.0,))
    assert AlloX(oldest=1.0).allocate(now).choice.tolist() == [-1, 0]
    pair = a_round([[30.0], [5.0]], units=2, capacity=(3,), price=(1.0,))
    assert AlloX(oldest=1.0).allocate(pair).choice.tolist() == [-1, 0]


def test_fairness_gives_equal_jobs_equal_shares_and_uses_what_each_is_good_at():
    now = a_round([[10.0, 40.0], [40.0, 10.0]])
    np.testing.assert_allclose(MaxMinFairness().shares(now), [[1, 0], [0, 1]], atol=1e-6)
    blind = a_round([[10.0], [40.0]], capacity=(1,), price=(1.0,))
    np.testing.assert_allclose(MaxMinFairness(aware=False).shares(blind).sum(axis=1), [0.5, 0.5], atol=1e-6)


def test_the_makespan_program_balances_the_last_ends():
    now = a_round([[30.0], [10.0]], capacity=(1,), price=(1.0,))
    np.testing.assert_allclose(Makespan().shares(now)[:, 0], [0.75, 0.25], atol=1e-3)


def test_finish_time_fairness_makes_up_for_a_long_wait():
    now = a_round([[100.0], [100.0]], capacity=(1,), price=(1.0,), at_s=300.0, arrived_s=[0.0, 300.0])
    shares = FinishTimeFairness().shares(now)[:, 0]
    assert shares.sum() == pytest.approx(1.0)
    assert shares[0] > 0


def test_throughput_per_dollar_prefers_the_cheap_pool_and_keeps_deadlines_it_can():
    now = a_round([[10.0, 20.0]], price=(4.0, 1.0))
    np.testing.assert_allclose(Throughput(per_usd=True).shares(now), [[0, 1]], atol=1e-6)
    np.testing.assert_allclose(Throughput().shares(now), [[1, 0]], atol=1e-6)
    pressed = replace(now, deadline_s=np.array([12.0]), round_s=1.0)
    assert Throughput(per_usd=True, deadlines=True).shares(pressed)[0, 0] > 0.5
    both = a_round([[10.0], [10.0]], capacity=(1,), price=(1.0,), deadline_s=[11.0, 11.0], round_s=1.0)
    assert Throughput(deadlines=True).shares(both).sum() == pytest.approx(1.0)
    assert most(both, both.feasible, both.speed, np.array([0.09, 0.09])) is None


def test_shares_are_kept_for_a_while_and_what_a_job_is_owed_is_made_good():
    policy = Shares(name="fair", sharing=MaxMinFairness(aware=False))
    now = a_round([[1e4], [1e4]], capacity=(1,), price=(1.0,))
    first = policy.allocate(now)
    served = np.zeros((2, 1))
    served[first.choice >= 0] = 60.0
    second = policy.allocate(replace(now, at_s=60.0, served_s=served, held=first.choice, memory=first.memory))
    assert second.choice.tolist() != first.choice.tolist()
    grown = a_round([[1e4], [1e4], [1e4]], capacity=(1,), price=(1.0,), at_s=120.0, memory=second.memory)
    soon = policy.allocate(grown)
    assert soon.memory.made_s == 0.0
    later = policy.allocate(replace(grown, at_s=4000.0, memory=soon.memory))
    assert later.memory.made_s == 4000.0
    assert later.memory.owed_s[:2].max() > 0


def test_sia_grows_a_gang_by_doubling_and_leaves_restarting_jobs_alone():
    pool, units = [0, 0, 0], [[1, 2, 4]]
    now = a_round([[100.0, 60.0, 35.0]], units=units, pool=pool, capacity=(4,), price=(1.0,), at_s=500.0)
    assert Sia().allocate(now).choice.tolist() == [0]
    held = replace(now, held=np.array([0]), served_s=np.array([[60.0, 0.0, 0.0]]), starts=np.array([1]))
    assert Sia().allocate(held).choice.tolist() == [1]
    assert Sia().allocate(replace(held, restarting=np.array([True]))).choice.tolist() == [0]
    tired = replace(held, restart_s=np.array([400.0]), starts=np.array([2]))
    assert Sia().allocate(tired).choice.tolist() == [0]


def test_the_program_of_a_round_is_optimal_by_its_own_bound():
    for seed in range(3):
        now = drawn(seed, elastic=True)
        cost = np.where(now.feasible, now.left_s / now.left_s[np.isfinite(now.left_s)].max(), np.inf)
        choice, total, bound = cheapest_columns(now, cost, idle=1.1, fixed=now.restarting)
        assert bound <= total <= bound * 1.001
        assert (choice[now.restarting] == now.held[now.restarting]).all()


def test_best_fit_leaves_the_fewest_units_free():
    now = a_round([[10.0, 10.0], [10.0, 10.0]], units=2, capacity=(4, 3))
    assert REFERENCES["best_fit"].allocate(now).choice.tolist() == [1, 0]


def test_least_fragmentation_keeps_room_for_the_gangs_that_wait():
    now = a_round([[10.0, 10.0], [10.0, 10.0]], units=[[1, 1], [4, 4]], capacity=(4, 5))
    assert REFERENCES["fgd"].allocate(now).choice.tolist() == [1, 0]
    assert REFERENCES["best_fit"].allocate(now).choice.tolist() == [0, 1]
    tight = replace(now, capacity=np.array([4, 0]))
    assert REFERENCES["fgd"].allocate(tight).choice.tolist() == [0, -1]
