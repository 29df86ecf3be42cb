"""Large assignments against the exact matching, their certificates, and batches that cannot all fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from dnaml.core.errors import InputError
from dnaml.schedule.candidates import HeldCosts, chosen_candidates, least_of
from dnaml.schedule.prices import MOST_PRICED, lower_bound, sampled_prices
from dnaml.schedule.slots import WAITS, Effort, assign_slots


def drawn(jobs: int, resources: int, seed: int = 0) -> np.ndarray:
    """Draw costs as a predictor gives them: work times an affinity of two vectors times a price."""
    rng = np.random.default_rng(seed)
    affinity = rng.standard_normal((jobs, 8)) @ rng.standard_normal((8, resources)) / np.sqrt(8)
    work, price = rng.lognormal(0, 1, (jobs, 1)), rng.lognormal(0, 0.5, resources)
    return (work * np.exp(0.5 * affinity) * (0.5 + 0.5 * price)).astype(np.float32)


def exact(costs: np.ndarray, slots: np.ndarray) -> float:
    expanded = np.repeat(costs, slots, axis=1)
    rows, columns = linear_sum_assignment(expanded)
    return float(expanded[rows, columns].astype(np.float64).sum())


def check(plan, costs, slots):
    placed = plan.resource != WAITS
    assert (np.bincount(plan.resource[placed], minlength=len(slots)) <= slots).all()
    assert np.isfinite(np.asarray(costs)[np.flatnonzero(placed), plan.resource[placed]]).all()
    assert plan.bound <= plan.total * (1 + 1e-12) or plan.total <= 0
    assert all(plan.reason(int(j)) for j in np.flatnonzero(~placed))
    assert not any(plan.reason(int(j)) for j in np.flatnonzero(placed))


@pytest.mark.parametrize(("jobs", "resources", "per"), [(600, 60, 10), (300, 300, 1), (500, 100, 6), (80, 200, 3)])
@pytest.mark.parametrize("kind", ["dna", "alike", "even"])
def test_everything_is_placed_within_the_certified_gap_of_the_optimum(jobs, resources, per, kind):
    rng = np.random.default_rng(1)
    costs = {
        "dna": drawn(jobs, resources),
        "alike": rng.lognormal(0, 0.5, (jobs, resources)).astype(np.float32),
        "even": rng.random((jobs, resources), dtype=np.float32),
    }[kind]
    slots = np.full(resources, per)
    plan = assign_slots(costs, slots)
    check(plan, costs, slots)
    best = exact(costs, slots)
    assert (plan.resource != WAITS).all()
    assert plan.bound <= best * (1 + 1e-6)
    assert best * (1 - 1e-6) <= plan.total <= best * 1.03
    assert plan.total == pytest.approx(costs[np.arange(jobs), plan.resource].astype(float).sum(), rel=1e-6)


def test_unequal_slots_and_slack_are_used_well():
    rng = np.random.default_rng(2)
    slots = rng.integers(0, 20, 120)
    costs = drawn(int(slots.sum() * 0.9), 120, seed=3)
    plan = assign_slots(costs, slots)
    check(plan, costs, slots)
    assert (plan.resource != WAITS).all()
    assert plan.total <= exact(costs, slots) * 1.01
    assert plan.gap < 0.1


@pytest.mark.serial
def test_ten_thousand_jobs_end_within_a_thousandth_of_the_bound():
    costs = drawn(10_000, 1000, seed=4)
    plan = assign_slots(costs, np.full(1000, 10))
    check(plan, costs, np.full(1000, 10))
    assert (plan.resource != WAITS).all()
    assert plan.gap < 5e-3


def test_more_jobs_than_slots_leave_the_right_number_waiting():
    costs = drawn(50, 4)
    plan = assign_slots(costs, np.full(4, 5))
    check(plan, costs, np.full(4, 5))
    assert (plan.resource == WAITS).sum() == 30
    assert "worth more" in plan.reason(int(np.flatnonzero(plan.resource == WAITS)[0]))


def test_waiting_is_chosen_where_it_is_cheaper():
    costs = np.array([[1.0, 9.0], [2.0, 9.0], [3.0, 9.0]])
    plan = assign_slots(costs, [1, 1], waiting=4.0)
    assert plan.resource.tolist() == [0, WAITS, WAITS]
    assert plan.total == pytest.approx(9.0)


def test_jobs_that_may_run_nowhere_say_so():
    costs = drawn(30, 6)
    costs[3], costs[4, 1:], costs[5, 2] = np.nan, np.inf, np.nan
    plan = assign_slots(costs, np.full(6, 10))
    check(plan, costs, np.full(6, 10))
    assert plan.impossible.tolist() == [3]
    assert "no resource" in plan.reason(3)
    assert plan.resource[4] == 0


def test_chains_find_room_for_jobs_that_may_run_on_few_resources():
    # Job i may run on resource i and i + 1 alone, and the first is wanted by one more: all must move up by one.
    size = 40
    costs = np.full((size, size), np.inf)
    for i in range(size - 1):
        costs[i, i], costs[i, i + 1] = 1.0, 2.0
    costs[size - 1, 0] = 1.0
    plan = assign_slots(costs, np.ones(size, dtype=int))
    check(plan, costs, np.ones(size, dtype=int))
    assert (plan.resource != WAITS).all()


def test_equal_input_gives_an_equal_plan():
    costs, slots = drawn(200, 30), np.full(30, 8)
    first, second = (assign_slots(costs, slots, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first.resource, second.resource)
    assert first.bound == second.bound


@pytest.mark.parametrize(("jobs", "slots"), [(0, [1, 2]), (3, [0, 0]), (3, [])])
def test_without_jobs_or_slots_there_is_a_plan(jobs, slots):
    plan = assign_slots(np.ones((jobs, len(slots))), slots)
    assert plan.resource.tolist() == [WAITS] * jobs
    assert plan.gap == 0
    assert all(plan.reason(j) for j in range(jobs))


@pytest.mark.parametrize("slots", [[1], [1, -1]])
def test_slots_that_make_no_sense_are_refused(slots):
    with pytest.raises(InputError, match="slots must be 2 counts"):
        assign_slots(np.ones((3, 2)), slots)


def test_jobs_that_cost_nothing_are_placed_too():
    plan = assign_slots(np.zeros((20, 4)), np.full(4, 5))
    assert plan.total == 0.0
    assert plan.bound == pytest.approx(0.0, abs=0.1)
    assert (plan.resource != WAITS).all()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_batch_has_a_plan_that_keeps_its_capacities(data):
    jobs, resources = data.draw(st.integers(1, 14)), data.draw(st.integers(1, 6))
    cost = st.one_of(st.floats(0, 100, width=32), st.just(np.nan), st.just(np.inf), st.just(1.0))
    costs = np.array(
        data.draw(st.lists(st.lists(cost, min_size=resources, max_size=resources), min_size=jobs, max_size=jobs))
    )
    slots = np.array(data.draw(st.lists(st.integers(0, 4), min_size=resources, max_size=resources)))
    plan = assign_slots(costs, slots, effort=Effort(candidates=data.draw(st.sampled_from([1, 2, 8])), phases=1))
    check(plan, costs, slots)


class Computed:
    """Costs that are computed by rows and columns from two vectors, and never held."""

    def __init__(self, jobs: int, resources: int) -> None:
        rng = np.random.default_rng(0)
        self.left = rng.standard_normal((jobs, 8), dtype=np.float32) * np.float32(0.18)
        self.right = rng.standard_normal((8, resources), dtype=np.float32)
        self.shape = (jobs, resources)

    def block(self, first, last):
        return np.exp(self.left[first:last] @ self.right)

    def rows(self, index):
        return np.exp(self.left[index] @ self.right)

    def columns(self, index):
        return np.exp(self.left @ self.right[:, index]).T


def test_costs_may_be_computed_as_they_are_needed():
    costs = Computed(4000, MOST_PRICED + 500)
    slots = np.full(MOST_PRICED + 500, 2)
    plan = assign_slots(costs, slots)
    check(plan, costs.block(0, 4000), slots)
    assert (plan.resource != WAITS).all()
    assert plan.gap < 0.01


@pytest.mark.parametrize("negative", [False, True])
def test_prices_of_many_resources_follow_from_those_of_some(negative):
    costs = drawn(2000, MOST_PRICED + 300) - (0.5 if negative else 0.0)
    costs[0, :5] = np.inf
    slots = np.ones(MOST_PRICED + 300, dtype=np.int64)
    price = sampled_prices(HeldCosts.of(costs), slots, np.random.default_rng(0))
    assert price.min() >= 0
    held = HeldCosts.of(costs)
    if not negative:
        assert lower_bound(held, price, slots, 1e6) > lower_bound(held, np.zeros(len(slots)), slots, 1e6)


@given(st.integers(1, 40), st.integers(2, 300), st.integers(1, 30), st.integers(0, 1000))
def test_candidates_are_the_cheapest_and_the_rest_is_no_cheaper(jobs, resources, count, seed):
    rng = np.random.default_rng(seed)
    block = np.round(rng.random((jobs, resources)), 1).astype(np.float32)
    price = rng.random(resources).astype(np.float32)
    index, cost, rest = least_of(block, price, count)
    priced = np.sort(block + price, axis=1)
    width = min(count, resources)
    np.testing.assert_array_equal(np.sort(cost + price[index], axis=1), priced[:, :width])
    np.testing.assert_array_equal(cost, np.take_along_axis(block, index, 1))
    expected = priced[:, count] if count < resources else np.full(jobs, np.inf)
    np.testing.assert_array_equal(rest, expected)


def test_candidates_without_finite_costs_have_a_scale():
    held = HeldCosts.of(np.full((2, 3), np.nan))
    assert chosen_candidates(held, np.zeros(3), 2).scale() == 1.0
