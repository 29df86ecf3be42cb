"""Limits: which pairs are allowed, and the reason in words."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from dnaml.core.plan import Problem
from dnaml.core.resource import Kind
from dnaml.core.work import Constraints
from dnaml.schedule.feasible import computations_of, feasibility, time_left_s
from tests.contracts.problems import problem, problems

GIB = 2**30


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problem=problems())
def test_the_matrix_and_the_words_agree(problem: Problem) -> None:
    found = feasibility(problem)
    for j in range(len(problem.jobs)):
        for r in range(len(problem.resources)):
            assert bool(found.reason(j, r)) != bool(found.matrix[j, r])


def test_without_limits_everything_is_allowed() -> None:
    found = feasibility(problem([[1.0, 2.0], [3.0, 4.0]]))
    assert found.matrix.all()
    assert found.reason(0, 0) == ""


def limited(**limits: Any) -> Problem:
    return problem(
        [[10.0, 20.0]],
        [1.0, 2.0],
        free_in_s=[5.0, 0.0],
        jobs=[{"constraints": Constraints(**limits)}],
        resources=[{"labels": {"zone": "a"}}, {"kind": Kind.GPU}],
    )


@pytest.mark.parametrize(
    ("limits", "allowed", "why"),
    [
        ({"kinds": (Kind.GPU,)}, [False, True], "runs only on gpu, r0 is cpu"),
        ({"resource_ids": ("r1",)}, [False, True], "runs only on r1, r0 is none of these"),
        ({"labels": {"zone": "a"}}, [True, False], "needs the labels zone=a, r1 lacks one"),
        ({"labels": {"zone": "!a"}}, [False, True], "must not run where zone=a, r0 is there"),
        ({"labels": {"zone": "a", "rack": "!b"}}, [True, False], "needs the labels zone=a, r1 lacks one"),
        ({"max_price_usd_per_h": 1.5}, [True, False], "the limit is 1.5 USD an hour, the price of r1 is 2 USD"),
        ({"max_cost_usd": 0.005}, [True, False], "the limit is 0.005 USD, the cost (p90) on r1 is 0.01304 USD"),
        ({"deadline_s": 20.0}, [True, False], "the deadline is in 20 s, r1 needs until 23.94 s (p95 with its queue)"),
        ({"deadline_s": 15.0}, [False, False], "the deadline is in 15 s, r0 needs until 16.97 s (p95 with its queue)"),
    ],
)
def test_each_limit_is_kept_and_named(limits: dict[str, Any], allowed: list[bool], why: str) -> None:
    found = feasibility(limited(**limits))
    assert found.matrix[0].tolist() == allowed
    assert found.reason(0, allowed.index(False)) == why


def test_jobs_that_share_their_limits_are_judged_alike() -> None:
    limits = Constraints(resource_ids=("r1",))
    wanted = problem([[1.0, 1.0]] * 3, jobs=[{"constraints": limits}, {}, {"constraints": limits}])
    assert feasibility(wanted).matrix.tolist() == [[False, True], [True, True], [False, True]]


def test_an_unknown_price_keeps_no_limit_on_price_or_cost() -> None:
    for limits in (Constraints(max_price_usd_per_h=9.0), Constraints(max_cost_usd=9.0)):
        found = feasibility(problem([[1.0]], jobs=[{"constraints": limits}]))
        assert not found.matrix.any()
        assert "unknown" in found.reason(0, 0)


def test_a_deadline_counts_from_submission() -> None:
    wanted = problem([[1.0]], at_s=100.0, jobs=[{"submitted_at_s": 90.0, "constraints": Constraints(deadline_s=15.0)}])
    assert time_left_s(wanted, wanted.jobs[0]) == 5.0
    assert time_left_s(wanted, replace(wanted.jobs[0], constraints=Constraints())) == np.inf


def test_a_job_too_large_for_all_is_told_the_largest() -> None:
    wanted = problem(
        [[1.0, 1.0, 1.0]],
        computations=[{"memory_bytes": 64 * GIB}],
        resources=[{"memory_bytes": 8 * GIB}, {"id": "gpu0", "memory_bytes": 24 * GIB}, {"memory_bytes": GIB // 20}],
    )
    found = feasibility(wanted)
    assert found.why_unplaced(0) == "needs 64.0 GiB, the largest resource gpu0 has 24.0 GiB"
    assert found.reason(0, 2) == "needs 64.0 GiB, r2 has 51.2 MiB"


def test_unknown_memory_is_no_limit() -> None:
    wanted = problem([[1.0], [1.0]], computations=[{"memory_bytes": GIB}, {}], resources=[{}])
    assert feasibility(wanted).matrix.all()


def test_a_gang_larger_than_any_resource_is_told_the_largest() -> None:
    wanted = problem([[1.0, 1.0]], jobs=[{"units": (4, 8)}], resources=[{"slots": 2}, {"slots": 3}])
    assert feasibility(wanted).why_unplaced(0) == "needs 4 units, the largest resource r1 has 3"


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"max_price_usd_per_h": 0.5}, "the limit is 0.5 USD an hour, the price of the cheapest resource r0 is 1 USD"),
        (
            {"max_cost_usd": 1e-6},
            "the limit is 1e-06 USD, the cost (p90) on the cheapest resource r0 is 0.00326 USD",
        ),
        (
            {"deadline_s": 1.0},
            "the deadline is in 1 s, the soonest resource r0 needs until 16.97 s (p95 with its queue)",
        ),
        ({"kinds": (Kind.ASIC,)}, "runs only on asic, resource r0 is cpu"),
    ],
)
def test_a_limit_that_none_keeps_names_what_comes_nearest(limits: dict[str, Any], why: str) -> None:
    assert feasibility(limited(**limits)).why_unplaced(0) == why


def test_different_rules_are_told_resource_by_resource_and_not_without_end() -> None:
    wanted = problem(
        [[1.0] * 5],
        feasible=[[False, True, True, True, True]],
        computations=[{"memory_bytes": 2 * GIB}],
        resources=[{}, *[{"memory_bytes": GIB}] * 4],
    )
    assert feasibility(wanted).why_unplaced(0) == (
        "r0: table says that it cannot run on it; r1: needs 2.0 GiB, it has 1.0 GiB; "
        "r2: needs 2.0 GiB, it has 1.0 GiB; and 2 more"
    )


def test_two_different_rules_are_both_told() -> None:
    wanted = problem([[1.0, np.nan]], feasible=[[False, True]])
    assert feasibility(wanted).why_unplaced(0) == (
        "r0: table says that it cannot run on it; r1: no finite runtime is predicted for it"
    )


def test_no_resource_is_a_reason_too() -> None:
    assert feasibility(problem(np.empty((1, 0)))).why_unplaced(0) == "there is no resource"


def test_only_allowed_resources_are_left_out_of_the_reasons() -> None:
    wanted = problem([[1.0, 1.0]], feasible=[[True, False]])
    assert feasibility(wanted).why_unplaced(0) == "r1: table says that it cannot run on it"


def test_computations_are_found_by_place_or_by_id() -> None:
    wanted = problem([[1.0], [1.0]], jobs=[{"computation_id": "c1"}, {"computation_id": "c1"}])
    assert [c.id for c in computations_of(wanted)] == ["c1", "c1"]
    assert computations_of(problem([[1.0], [1.0]])) == list(problem([[1.0], [1.0]]).computations)
