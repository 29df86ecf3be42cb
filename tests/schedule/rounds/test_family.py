"""dnaml's own family: urgent jobs first, thrift by its knobs, and knobs found by playing ahead."""

from dataclasses import replace

import numpy as np
import pytest

from dnaml.core.errors import InputError
from dnaml.core.work import Objective
from dnaml.schedule.rounds.adaptive import Adaptive
from dnaml.schedule.rounds.bounds import cheapest_usd, intervals, mean_completion_s
from dnaml.schedule.rounds.elastic import weights, worth_for
from dnaml.schedule.rounds.knobs import Knobs, for_arrivals, preset
from dnaml.schedule.rounds.priced import Priced
from dnaml.schedule.rounds.rollout import rollout
from dnaml.schedule.rounds.search import search
from tests.schedule.rounds.rounds import a_round, drawn


def test_an_urgent_job_goes_before_shorter_ones_on_the_cheapest_pool_that_meets_its_deadline():
    now = a_round([[90.0, 100.0], [10.0, 20.0]], deadline_s=[105.0, np.inf], capacity=(1, 0))
    assert Priced(knobs=Knobs(urgent_share=0.2)).allocate(now).choice.tolist() == [0, -1]
    both = replace(now, capacity=np.array([1, 1]), deadline_s=np.array([101.0, np.inf]))
    assert Priced(knobs=Knobs(urgent_share=0.2, theta=0.0, prices=(1.0, 0.1))).allocate(both).choice.tolist() == [1, 0]


def test_a_job_that_is_hopelessly_late_is_not_protected():
    now = a_round([[90.0], [10.0]], deadline_s=[-1e5, np.inf], capacity=(1,), price=(1.0,))
    assert Priced(knobs=Knobs()).allocate(now).choice.tolist() == [-1, 0]


def test_fill_keeps_a_job_from_a_pool_that_costs_too_much():
    now = a_round([[10.0, 30.0], [np.inf, 1.0]], price=(10.0, 1.0))
    assert Priced(knobs=Knobs(fill=1.5)).allocate(now).choice.tolist() == [-1, 1]
    assert Priced(knobs=Knobs(fill=5.0)).allocate(now).choice.tolist() == [0, 1]


@pytest.mark.parametrize("money", [None, 0.0])
def test_a_heavy_job_comes_as_if_it_were_shorter(money):
    now = a_round([[100.0], [60.0]], capacity=(1,), price=(1.0,))
    policy = Priced(knobs=Knobs(money=money))
    assert policy.allocate(now).choice.tolist() == [-1, 0]
    assert policy.allocate(replace(now, weight=np.array([4.0, 1.0]))).choice.tolist() == [0, -1]
    assert policy.allocate(replace(now, weight=np.array([4.0, 4.0]))).choice.tolist() == [-1, 0]


def test_of_two_elastic_jobs_the_heavy_one_gets_more():
    now = a_round([[80.0, 50.0]] * 2, units=[[1, 2]] * 2, pool=[0, 0], capacity=(3,), price=(1.0,))
    for heavy in (0, 1):
        weight = np.where(np.arange(2) == heavy, 8.0, 1.0)
        choice = Adaptive().allocate(replace(now, weight=weight)).choice
        assert now.units[heavy, choice[heavy]] == 2


def test_single_units_are_matched_when_money_is_given():
    now = a_round([[10.0, 11.0], [10.0, 40.0], [100.0, 100.0]], price=(1.0, 1.0))
    assert Priced(knobs=Knobs(money=0.1)).allocate(now).choice.tolist() == [0, -1, 1]
    assert Priced(knobs=Knobs(money=0.1)).allocate(replace(now, capacity=np.array([0, 0]))).choice.max() == -1
    slow = a_round([[10.0, 1000.0], [10.0, 1000.0]], price=(1.0, 0.1))
    assert Priced(knobs=Knobs(money=0.0, fill=1.5)).allocate(slow).choice.tolist() == [0, -1]
    assert Priced(knobs=Knobs(money=0.0, fill=20.0)).allocate(slow).choice.tolist() == [0, 1]
    for seed in range(4):
        single = drawn(seed)
        single = replace(single, units=np.ones_like(single.units), deadline_s=np.full(12, np.inf))
        choice = Priced(knobs=Knobs(money=0.4, fill=9.0)).allocate(single).choice
        assert (choice >= 0).any()


def test_knobs_out_of_range_are_refused():
    with pytest.raises(InputError, match="fill at least 1"):
        Knobs(fill=0.5)
    with pytest.raises(InputError, match="must not be negative"):
        Knobs(theta=-1.0)


def test_the_preset_avoids_dear_pools_the_more_the_larger_the_cost_share():
    price = np.array([2.0, 1.0, 0.0])
    thrifty, fast = (preset(Objective.of(name), price) for name in ("min_cost", "min_latency"))
    assert thrifty.fill < fast.fill
    assert thrifty.prices[1] < fast.prices[1] < fast.prices[0] == 1.0
    assert preset(Objective.of("balanced"), np.zeros(2)).prices == (1.0, 1.0)
    assert worth_for(Objective.of("min_cost")).money > worth_for(Objective.of("min_latency")).money


def test_the_tail_is_cut_where_cost_counts_as_much_as_latency_and_not_where_the_mean_alone_counts():
    price = np.array([2.0, 1.0])
    balanced, hasty, fast = (for_arrivals(Objective(cost=cost, latency=1.0), price).flow_s for cost in (1.0, 0.25, 0.0))
    assert balanced == for_arrivals(Objective.of("min_cost"), price).flow_s < hasty < fast == np.inf


def test_a_rollout_counts_what_a_plan_comes_to():
    now = a_round([[100.0], [40.0]], capacity=(1,), price=(3600.0,), restart_s=[10.0, 10.0], deadline_s=[115.0, 115.0])
    future = rollout(now, Knobs(urgent_share=0.0))
    assert future.mean_s == pytest.approx((50.0 + 60.0 + 110.0) / 2)
    assert future.span_s == pytest.approx(170.0)
    assert future.cost_usd == pytest.approx(160.0)
    assert (future.late_share, future.late_s) == (0.5, pytest.approx(55.0))
    assert rollout(a_round([[np.inf]], capacity=(1,), price=(1.0,)), Knobs()).mean_s == 0.0
    greedy = a_round([[10.0, 30.0]], price=(10.0, 1.0), capacity=(1, 0), round_s=0.0)
    assert rollout(greedy, Knobs(fill=1.0)).cost_usd == pytest.approx(10.0 * 10.0 / 3600)
    assert rollout(replace(greedy, capacity=np.array([1, 1])), Knobs()).span_s <= 30.0


def test_the_bounds_are_below_what_any_rollout_reaches():
    assert intervals(10.0, 2.0, 1.5).tolist() == [0.0, 2.0, 4.0, 6.0, 9.0, 10.0]
    for seed in range(3):
        now = replace(drawn(seed, jobs=20), held=np.full(20, -1))
        future = rollout(now, Knobs(fill=9.0))
        assert mean_completion_s(now) <= future.mean_s
        assert cheapest_usd(now) <= future.cost_usd * (1 + 1e-9)
        unequal = replace(now, weight=np.random.default_rng(seed).uniform(0.2, 5.0, 20))
        assert mean_completion_s(unequal) <= rollout(unequal, Knobs(fill=9.0)).mean_s
    assert mean_completion_s(a_round([[np.inf]], capacity=(1,), price=(1.0,))) == 0.0
    one = a_round([[100.0]], capacity=(1,), price=(1.0,), round_s=1.0)
    assert 50.0 <= mean_completion_s(one) <= 100.0
    many = drawn(0, jobs=400)
    assert mean_completion_s(many, growth=1.02) > 0


def test_a_search_finds_no_worse_than_where_it_starts_and_says_how_far_the_bound_is():
    now = replace(drawn(5, jobs=20), objective=Objective.of("min_cost"), held=np.full(20, -1))
    little, more = search(now, rollouts=1, polish=0), search(now, rollouts=30, polish=20)
    assert more.score <= little.score
    assert more.score >= more.bound
    again = search(now, rollouts=30, polish=20)
    assert again.knobs == more.knobs


def test_a_batch_is_searched_once_and_what_trickles_in_takes_its_knobs():
    policy = Adaptive(batch=10, rollouts=6, polish=30)
    now = replace(drawn(5, jobs=20), held=np.full(20, -1))
    first = policy.allocate(now)
    assert first.gap is not None
    later = replace(now, memory=first.memory)
    assert policy.allocate(later).memory.found is first.memory.found
    few = drawn(5, jobs=5)
    plain = policy.allocate(few)
    assert plain.gap is None
    assert policy.allocate(replace(few, memory=plain.memory)).memory.knobs == plain.memory.knobs
    fixed = Adaptive(fixed=Knobs(theta=0.9))
    assert fixed.allocate(now).memory.knobs.theta == 0.9


def test_the_smallest_of_many_elastic_jobs_weighs_most():
    weight = weights(np.array([5.0, 1.0, 3.0]), 0.5)
    assert weight == pytest.approx([1.0, np.sqrt(5.0), np.sqrt(3.0)])
