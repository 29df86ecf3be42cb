"""Every policy keeps the contract of the Policy seam: complete, feasible, repeatable, and it changes nothing."""

import copy
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from dnaml.core.plan import Problem
from dnaml.core.protocols import Policy
from dnaml.schedule.feasible import feasibility
from dnaml.schedule.policies import POLICIES
from tests.contracts.problems import problems

SETTINGS = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@SETTINGS
@given(problem=problems())
def test_a_plan_is_complete_feasible_and_repeatable(policy: Policy, problem: Problem) -> None:
    plan = policy.plan(problem)

    placed = {p.job_id for p in plan.placements}
    assert placed | set(plan.unplaced) == {job.id for job in problem.jobs}
    assert not placed & set(plan.unplaced)
    assert all(plan.unplaced.values()), "each job left out has a reason"

    rows = {job.id: j for j, job in enumerate(problem.jobs)}
    columns = {resource.id: r for r, resource in enumerate(problem.resources)}
    allowed = feasibility(problem).matrix
    assert all(allowed[rows[p.job_id], columns[p.resource_id]] for p in plan.placements)
    assert all(not allowed[rows[job_id]].any() for job_id in plan.unplaced), "only what fits nowhere is left out"

    assert plan == policy.plan(copy.deepcopy(problem)), "equal problems get equal plans"


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@SETTINGS
@given(problem=problems())
def test_shares_sum_to_one_and_copies_lie_apart(policy: Policy, problem: Problem) -> None:
    plan = policy.plan(problem)

    shares: dict[tuple[str, int], float] = defaultdict(float)
    for p in plan.placements:
        shares[p.job_id, p.replica] += p.share
    assert all(total == pytest.approx(1.0) for total in shares.values())

    jobs = {job.id: job for job in problem.jobs}
    assert all(p.units == jobs[p.job_id].units[0] for p in plan.placements)
    copies = Counter((p.job_id, p.resource_id) for p in plan.placements)
    assert not copies or max(copies.values()) == 1, "two copies on one resource protect nothing"
    allowed = feasibility(problem).matrix.sum(axis=1)
    for j, job in enumerate(problem.jobs):
        wanted = min(job.resilience.replicas, int(allowed[j]))
        assert sum(p.job_id == job.id for p in plan.placements) == wanted
        replicas = sorted(p.replica for p in plan.placements if p.job_id == job.id)
        assert replicas == list(range(wanted))


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@SETTINGS
@given(problem=problems())
def test_a_policy_leaves_its_problem_as_it_was(policy: Policy, problem: Problem) -> None:
    before = copy.deepcopy(problem)
    policy.plan(problem)
    assert (problem.jobs, problem.computations, problem.resources) == (
        before.jobs,
        before.computations,
        before.resources,
    )
    np.testing.assert_array_equal(problem.free_in_s, before.free_in_s)
    np.testing.assert_array_equal(problem.prediction.feasible, before.prediction.feasible)
    np.testing.assert_array_equal(problem.prediction.runtime_s.values, before.prediction.runtime_s.values)
    np.testing.assert_array_equal(problem.prediction.cost_usd.values, before.prediction.cost_usd.values)
    if before.similarity is not None:
        np.testing.assert_array_equal(problem.similarity, before.similarity)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@SETTINGS
@given(problem=problems())
def test_scores_are_numbers_and_higher_priorities_start_first(policy: Policy, problem: Problem) -> None:
    plan = policy.plan(problem)
    assert all(np.isfinite(value) for value in plan.score.values())
    assert (plan.bound is None) == (plan.gap is None)
    if plan.gap is not None:
        assert plan.bound is not None
        assert plan.bound <= plan.score["objective"] * (1 + 1e-9)
    priority = {job.id: job.priority for job in problem.jobs}
    for resource in problem.resources:
        queue = [priority[p.job_id] for p in plan.placements if p.resource_id == resource.id and p.replica == 0]
        assert queue == sorted(queue, reverse=True)
