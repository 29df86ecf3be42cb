"""The simple policies, each by what it looks at."""

from collections import Counter

import numpy as np
import pytest

from dnaml.core.attempt import Attempt, Placement
from dnaml.core.errors import InputError
from dnaml.core.plan import Plan
from dnaml.schedule.policies import POLICIES, by_name
from tests.contracts.problems import problem


def where(plan: Plan) -> list[str]:
    return [placement.resource_id for placement in plan.placements]


def test_a_policy_is_found_by_its_name() -> None:
    assert all(by_name(name).name == name for name in POLICIES)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="got 'cheapst'; did you mean 'cheapest'"):
        by_name("cheapst")


def test_cheapest_looks_at_the_price_alone() -> None:
    wanted = problem([[99.0, 1.0, 1.0]] * 3, [1.0, 2.0, np.nan])
    assert where(by_name("cheapest").plan(wanted)) == ["r0"] * 3


def test_equal_prices_take_turns() -> None:
    assert where(by_name("cheapest").plan(problem([[1.0, 1.0]] * 4, [1.0, 1.0]))) == ["r0", "r1"] * 2


def test_highest_clock_looks_at_the_clock_alone() -> None:
    clocks = [{"spec": {"clock_average_hz": 3e9}}, {"spec": {"clock_boost_hz": 4e9, "clock_average_hz": 2e9}}, {}]
    assert where(by_name("highest_clock").plan(problem([[1.0, 99.0, 1.0]] * 2, resources=clocks))) == ["r1"] * 2


def test_round_robin_goes_round_and_over_what_is_not_allowed() -> None:
    feasible = [[True] * 3, [True] * 3, [True, True, False], [True] * 3]
    wanted = problem([[1.0] * 3] * 4, feasible=feasible)
    assert where(by_name("round_robin").plan(wanted)) == ["r0", "r1", "r0", "r1"]


def test_round_robin_goes_on_from_the_newest_running_attempt() -> None:
    def attempt(id: str, resource_id: str, started_at_s: float | None) -> Attempt:
        placement = Placement(job_id=id, resource_id=resource_id)
        return Attempt(id=id, epoch=1, job_id=id, computation_id="c", placement=placement, started_at_s=started_at_s)

    running = (attempt("a", "r1", 5.0), attempt("b", "r0", None), attempt("c", "gone", 9.0))
    assert where(by_name("round_robin").plan(problem([[1.0] * 3], running=running))) == ["r2"]


def test_fifo_takes_what_is_free_first_in_order_of_arrival() -> None:
    wanted = problem(
        [[1.0, 9.0], [1.0, 9.0], [1.0, 9.0]],
        free_in_s=[3.0, 0.0],
        jobs=[{"submitted_at_s": 2.0}, {"submitted_at_s": 1.0}, {"submitted_at_s": 0.0, "priority": -1}],
    )
    plan = by_name("fifo").plan(wanted)
    assert [p.job_id for p in plan.placements] == ["j1", "j0", "j2"]
    assert where(plan) == ["r1", "r0", "r0"]


def test_earliest_finish_takes_the_longest_first_to_where_it_ends_first() -> None:
    plan = by_name("earliest_finish").plan(problem([[2.0, 3.0], [6.0, 7.0], [2.0, 3.0]]))
    assert [(p.job_id, p.resource_id) for p in plan.placements] == [("j1", "r0"), ("j0", "r1"), ("j2", "r1")]


def test_random_depends_on_seed_and_job_and_on_nothing_else() -> None:
    policy = by_name("random")
    first = where(policy.plan(problem([[1.0] * 4] * 400, seed=1)))
    assert first[:100] == where(policy.plan(problem([[1.0] * 4] * 100, seed=1)))
    assert first != where(policy.plan(problem([[1.0] * 4] * 400, seed=2)))
    assert min(Counter(first).values()) > 70, "all resources alike"


def test_a_simple_plan_says_what_it_costs_and_takes() -> None:
    wanted = problem([[3600.0, 1.0], [3600.0, 1.0]], [2.0, 9.0], spread=0.0)
    assert by_name("cheapest").plan(wanted).score == pytest.approx(
        {"mean_jct_s": 5400.0, "makespan_s": 7200.0, "cost_usd": 4.0}
    )
