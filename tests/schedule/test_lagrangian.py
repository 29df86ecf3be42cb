"""Configurations of gangs against the exact programme, their certificates, and rounds that make no sense."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnaml.core.errors import InputError
from dnaml.schedule.lagrangian import NONE, allocate

POOL = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
COUNT = np.array([1, 2, 4, 1, 2, 4, 1, 2, 4])


def drawn(jobs: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    speed = np.array([1.0, 1.8, 5.0])[POOL] * rng.lognormal(0, 0.35, (jobs, 3))[:, POOL]
    gain = speed * COUNT ** rng.uniform(0.45, 0.98, (jobs, 1))
    cost = (gain / gain.min(axis=1, keepdims=True)) ** -0.5
    return cost, np.broadcast_to(COUNT, cost.shape), np.full(jobs, 1.1)


def check(plan, cost, units, pool, capacity, idle):
    held = np.flatnonzero(plan.choice != NONE)
    used = np.bincount(pool[plan.choice[held]], units[held, plan.choice[held]], minlength=len(capacity))
    assert (used <= capacity).all()
    total = cost[held, plan.choice[held]].sum() + idle[plan.choice == NONE].sum()
    assert plan.total == pytest.approx(total)
    assert plan.bound <= plan.total
    for j in range(len(idle)):
        assert bool(plan.reason(j)) == (plan.choice[j] == NONE)


@pytest.mark.parametrize("seed", range(4))
def test_small_rounds_equal_trying_every_choice(seed):
    cost, units, idle = drawn(4, seed)
    capacity = np.array([4, 3, 2])
    best = np.inf
    for choice in product(range(-1, 9), repeat=4):
        used = np.zeros(3)
        for k in choice:
            if k >= 0:
                used[POOL[k]] += COUNT[k]
        if (used <= capacity).all():
            best = min(best, sum(1.1 if k < 0 else cost[j, k] for j, k in enumerate(choice)))
    plan = allocate(cost, units, POOL, capacity, idle, gap=0.0)
    check(plan, cost, units, POOL, capacity, idle)
    assert plan.total == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize("jobs", [30, 300])
def test_large_rounds_are_certified_within_a_tenth_of_a_percent(jobs):
    cost, units, idle = drawn(jobs)
    capacity = np.array([0.8, 0.8, 0.5]) * jobs
    plan = allocate(cost, units, POOL, capacity, idle)
    check(plan, cost, units, POOL, capacity, idle)
    assert plan.gap < 1e-3


def test_the_prices_of_the_last_round_are_a_good_start():
    cost, units, idle = drawn(300)
    capacity = np.array([240, 240, 150])
    first = allocate(cost, units, POOL, capacity, idle)
    again = allocate(cost, units, POOL, capacity, idle, price=first.price, steps=5)
    assert again.gap < 1e-3


def test_plenty_gives_each_job_its_best():
    cost, units, idle = drawn(10)
    plan = allocate(cost, units, POOL, np.full(3, 1000), idle)
    assert plan.choice.tolist() == cost.argmin(axis=1).tolist()
    assert plan.gap == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_array_equal(plan.price, 0.0)


def test_a_gang_larger_than_its_pool_gets_nothing_and_says_why():
    cost, idle = np.array([[0.5, 0.4], [0.5, np.nan]]), np.ones(2)
    plan = allocate(cost, np.array([[8, 9], [1, 1]]), np.array([0, 1]), np.array([4, 4]), idle)
    assert plan.choice.tolist() == [NONE, 0]
    assert "fits its pool" in plan.reason(0)


def test_a_job_outbid_by_others_says_so():
    cost = np.array([[0.1], [0.9]])
    plan = allocate(cost, np.ones((2, 1), dtype=int), np.array([0]), np.array([1]), np.ones(2))
    assert plan.choice.tolist() == [0, NONE]
    assert "worth more" in plan.reason(1)


@pytest.mark.parametrize(("jobs", "pools", "width"), [(0, 2, 3), (3, 0, 0), (3, 2, 0)])
def test_rounds_without_jobs_pools_or_configurations_have_a_plan(jobs, pools, width):
    plan = allocate(
        np.ones((jobs, width)),
        np.ones((jobs, width), dtype=int),
        np.zeros(width, dtype=int),
        np.ones(pools, dtype=int),
        np.ones(jobs),
    )
    assert plan.choice.tolist() == [NONE] * jobs
    assert plan.gap == 0


def test_idle_costs_of_nothing_have_no_gap():
    plan = allocate(np.full((2, 1), np.inf), np.ones((2, 1), dtype=int), np.array([0]), np.array([1]), np.zeros(2))
    assert (plan.total, plan.gap) == (0.0, 0.0)


@pytest.mark.parametrize("broken", ["capacity", "units", "idle"])
def test_rounds_that_make_no_sense_are_refused(broken):
    values = {"capacity": np.array([1]), "units": np.array([[1]]), "idle": np.array([1.0])}
    values[broken] = np.array([[-1]]) if broken == "units" else np.array([np.nan if broken == "idle" else -1])
    with pytest.raises(InputError, match="gangs"):
        allocate(np.ones((1, 1)), values["units"], np.array([0]), values["capacity"], values["idle"])


def test_equal_input_gives_an_equal_plan():
    cost, units, idle = drawn(100)
    plans = [allocate(cost, units, POOL, np.array([60, 60, 40]), idle) for _ in range(2)]
    np.testing.assert_array_equal(plans[0].choice, plans[1].choice)


def test_without_solver_nodes_there_is_a_plan_too():
    cost, units, idle = drawn(60)
    capacity = np.array([31, 31, 17])
    plan = allocate(cost, units, POOL, capacity, idle, gap=0.0, nodes=0, steps=3)
    check(plan, cost, units, POOL, capacity, idle)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_round_has_a_plan_that_keeps_its_capacities(data):
    jobs, width, pools = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    value = st.one_of(st.floats(0, 10), st.just(np.nan), st.just(np.inf))
    cost = np.array(data.draw(st.lists(st.lists(value, min_size=width, max_size=width), min_size=jobs, max_size=jobs)))
    units = np.array(
        data.draw(st.lists(st.lists(st.integers(0, 9), min_size=width, max_size=width), min_size=jobs, max_size=jobs))
    )
    pool = np.array(data.draw(st.lists(st.integers(0, pools - 1), min_size=width, max_size=width)))
    capacity = np.array(data.draw(st.lists(st.integers(0, 12), min_size=pools, max_size=pools)))
    idle = np.array(data.draw(st.lists(st.floats(0, 20), min_size=jobs, max_size=jobs)))
    check(allocate(cost, units, pool, capacity, idle), cost, units, pool, capacity, idle)


def test_alike_jobs_share_what_there_is_whatever_the_prices():
    cost = np.full((3, 1), 0.1)
    plan = allocate(cost, np.ones((3, 1), dtype=int), np.array([0]), np.array([2]), np.ones(3), steps=1)
    assert sorted(plan.choice.tolist()) == [NONE, 0, 0]


def test_prices_stop_where_steps_no_longer_change_them():
    cost, units, idle = drawn(40, seed=9)
    plans = [allocate(cost, units, POOL, np.array([31, 31, 19]), idle, steps=steps) for steps in (4000, 5000)]
    np.testing.assert_array_equal(plans[0].price, plans[1].price)
