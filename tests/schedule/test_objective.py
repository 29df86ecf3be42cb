"""The terms of the objective, their conventions, and the outcome of a schedule."""

import numpy as np
import pytest

from dnaml.core.work import Constraints, Objective
from dnaml.schedule.objective import (
    WEIGHING,
    References,
    batch_references,
    evaluate,
    exceeds,
    expected,
    known_or_dearest,
    terms,
)
from tests.contracts.problems import problem


def test_each_term_is_a_ratio_to_the_best_feasible_resource() -> None:
    wanted = problem([[10.0, 5.0]], [1.0, 4.0], spread=0.0, objective={"cost": 1, "latency": 1})
    score = terms(wanted).score[0]
    # r0: twice the time, the least cost; r1: the least time, twice the cost
    np.testing.assert_allclose(score, [(2 + 1) / 2, (1 + 2) / 2])


def test_the_wait_counts_as_latency() -> None:
    wanted = problem([[10.0, 10.0]], [1.0, 1.0], spread=0.0, free_in_s=[30.0, 0.0], objective="min_latency")
    found = terms(wanted)
    np.testing.assert_allclose(found.wait_s, [[30.0, 0.0]])
    np.testing.assert_allclose(found.score[0], [4.0, 1.0], rtol=1e-5)


def test_the_summands_of_a_score_add_up_to_it_and_leave_out_what_is_nowhere_felt() -> None:
    found = terms(problem([[10.0, 20.0], [4.0, 4.0]], [1.0, 0.0], objective="balanced"))
    for j in range(2):
        summands = found.summands(j)
        assert {"latency", "cost", "tail"} <= set(summands)
        assert "late" not in summands
        np.testing.assert_allclose(np.sum(list(summands.values()), axis=0), found.score[j])


def test_an_input_takes_its_time_to_reach_a_resource_and_may_miss_the_deadline_by_it() -> None:
    wanted = problem(
        [[10.0, 10.0, 10.0]],
        objective="min_latency",
        spread=0.0,
        jobs=[{"constraints": Constraints(deadline_s=12.0)}],
        computations=[{"input_bytes": 4_000_000}],
        resources=[{}, {"latency_s": 0.5}, {"latency_s": 1.0, "bandwidth_bytes_per_s": 1e6}],
    )
    found = terms(wanted)
    assert found.ready_s[0].tolist() == [0.0, 0.5, 5.0]
    assert found.wait_s[0].tolist() == [0.0, 0.0, 0.0]
    assert found.late[0].tolist() == [0.0, 0.0, 1.0]
    assert found.summands(0)["transfer"] == pytest.approx((0.0, 0.05, 0.5), rel=1e-4)
    assert "transfer" not in terms(problem([[1.0]])).parts


def test_an_uncertain_runtime_scores_worse_than_a_certain_one_of_equal_mean() -> None:
    wanted = problem([[10.0, 10.0]], spread=0.0, objective="min_latency")
    values = wanted.prediction.runtime_s.values
    values[0, 1, 0] -= 10.0  # as much below as above: weights of the outermost cells are alike
    values[0, 1, -1] += 10.0
    found = terms(wanted)
    assert found.runtime_s[0, 0] == pytest.approx(found.runtime_s[0, 1])
    tail_s = 10.0 * 0.075 / 0.1  # the upper 7.5 of the upper 10 %
    assert found.score[0, 1] - found.score[0, 0] == pytest.approx(WEIGHING.risk * tail_s / 10.0, rel=1e-4)


def test_what_may_not_run_scores_infinity_and_is_explained() -> None:
    wanted = problem([[10.0, np.nan]], [1.0, 1.0])
    found = terms(wanted)
    assert found.score[0, 1] == np.inf
    assert np.isfinite(found.score[0, 0])
    assert found.limited
    assert found.reason(0, 1) == "no finite runtime is predicted for r1"
    assert not terms(problem([[1.0]])).limited


def test_an_unknown_price_counts_as_the_dearest_known() -> None:
    wanted = problem([[10.0, 10.0, 10.0]], [1.0, np.nan, 3.0], spread=0.0, objective="min_cost")
    found = terms(wanted)
    assert found.score[0, 1] == pytest.approx(found.score[0, 2])
    assert np.isnan(found.cost_usd[0, 1])


def test_without_any_price_the_cost_term_is_dropped() -> None:
    score = terms(problem([[10.0, 20.0]], objective="min_cost", spread=0.0)).score[0]
    np.testing.assert_allclose(score, [WEIGHING.tie, 2 * WEIGHING.tie])


def test_where_the_best_is_free_the_cheapest_that_is_not_is_the_unit() -> None:
    score = terms(problem([[10.0, 10.0, 10.0]], [0.0, 1.0, 2.0], objective="min_cost", spread=0.0)).score[0]
    np.testing.assert_allclose(score, [0.0, 1.0, 2.0], atol=1e-5)


def test_the_risk_of_losing_the_resource_grows_with_the_time_on_it() -> None:
    wanted = problem([[3600.0, 7200.0]], hazard_per_h=[1.0, 1.0], spread=0.0, objective={"resilience": 1})
    found = terms(wanted)
    np.testing.assert_allclose(found.risk[0], 1 - np.exp([-1.0, -2.0]))
    np.testing.assert_allclose(found.score[0], [1.0, 2.0], rtol=1e-4)


def test_a_failure_in_a_million_runs_is_as_good_as_none() -> None:
    wanted = problem([[1.0, 1.0]], hazard_per_h=[0.001, 0.002], spread=0.0, objective={"resilience": 1, "latency": 1})
    score = terms(wanted).score[0]
    assert score[1] - score[0] < 1e-3


def test_energy_is_power_by_time_and_unknown_power_counts_as_the_largest() -> None:
    wanted = problem(
        [[10.0, 5.0, 5.0]],
        spread=0.0,
        objective={"energy": 1},
        resources=[{"power_w": 10.0}, {"power_w": 40.0}, {}],
    )
    np.testing.assert_allclose(terms(wanted).score[0], [1.0, 2.0, 2.0], rtol=1e-4)


def test_a_job_may_weigh_by_an_objective_of_its_own() -> None:
    wanted = problem(
        [[10.0, 5.0], [10.0, 5.0]],
        [1.0, 4.0],
        spread=0.0,
        objective="min_cost",
        jobs=[{}, {"objective": Objective.of("min_latency")}],
    )
    assert terms(wanted).score.argmin(axis=1).tolist() == [0, 1]


def test_a_deadline_that_may_be_missed_adds_its_probability() -> None:
    wanted = problem(
        [[10.0, 10.0]],
        free_in_s=[0.0, 60.0],
        jobs=[{"constraints": Constraints(deadline_s=80.0)}],
        objective="min_latency",
    )
    late = terms(wanted).late[0]
    assert late.tolist() == [0.0, 0.0]
    runtime_s = wanted.prediction.runtime_s
    assert exceeds(runtime_s, 0, 0, 10.0) == pytest.approx(0.5)
    assert exceeds(runtime_s, 0, 0, 0.0) == 1.0
    assert exceeds(runtime_s, 0, 0, 1e9) == 0.0


def test_a_deadline_between_two_quantiles_is_missed_by_so_much() -> None:
    wanted = problem([[10.0], [10.0]], jobs=[{}, {"constraints": Constraints(deadline_s=11.0)}], spread=0.2)
    late = terms(wanted).late[:, 0]
    assert late[0] == 0.0
    q50, q75 = 10.0, 10.0 * np.exp(0.1)
    assert late[1] == pytest.approx(1 - (0.5 + 0.25 * (11.0 - q50) / (q75 - q50)))


def test_the_references_of_a_batch_are_means_over_its_jobs() -> None:
    wanted = problem([[10.0, 20.0], [30.0, 5.0]], [1.0, 2.0], hazard_per_h=[360.0, 360.0], spread=0.0)
    pairs = expected(wanted)
    found = batch_references(pairs, np.ones((2, 2), dtype=bool), jct_s=7.0)
    assert found.jct_s == 7.0
    assert found.cost_usd == pytest.approx((10 * 1 + 5 * 2) / 2 / 3600)
    assert found.risk == pytest.approx((1.0 + 0.5) / 2)
    assert found.energy_j == 1.0, "no power is known"
    assert batch_references(pairs, np.ones((2, 2), dtype=bool), jct_s=0.0).jct_s == 1.0


def test_known_costs_are_left_alone() -> None:
    values = np.array([[1.0, 2.0]])
    assert known_or_dearest(values, np.ones((1, 2), dtype=bool)) is values


def test_a_finished_schedule_is_weighed_under_common_references() -> None:
    references = References(jct_s=2.0, cost_usd=0.5)
    found = evaluate(
        [1.0, 5.0], [0.5, 1.5], objective=Objective(cost=1, latency=1, resilience=0), references=references
    )
    assert (found.mean_jct_s, found.makespan_s, found.cost_usd) == (3.0, 5.0, 2.0)
    assert found.objective == pytest.approx(0.5 * 3.0 / 2.0 + 0.5 * 1.0 / 0.5)


def test_a_schedule_of_unknown_cost_is_weighed_by_the_rest() -> None:
    found = evaluate([4.0], [np.nan], objective=Objective(), references=References(jct_s=2.0), risk=[3.0])
    assert found.cost_usd == 0.0
    assert found.objective == pytest.approx((4.0 / 2.0 + 3.0) / 3)
