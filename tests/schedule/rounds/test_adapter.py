"""A round policy behind the engine's seam keeps the contract of every policy."""

import copy

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from dnaml.schedule.feasible import feasibility
from dnaml.schedule.rounds.adapter import as_policy
from dnaml.schedule.rounds.adaptive import Adaptive
from dnaml.schedule.rounds.reference import REFERENCES
from dnaml.schedule.rounds.registry import DEFAULT, ORACLE, POLICIES
from dnaml.schedule.rounds.round import Allocation
from tests.contracts.problems import problem, problems

SOME = [REFERENCES["srpt"], REFERENCES["allox"], REFERENCES["gavel_cost"], Adaptive(batch=4, rollouts=6, polish=2)]


@pytest.mark.parametrize("rounds", SOME, ids=lambda rounds: rounds.name)
@settings(max_examples=6, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(drawn=problems())
def test_a_plan_is_complete_feasible_and_repeatable(rounds, drawn):
    policy = as_policy(rounds)
    plan = policy.plan(drawn)
    placed = {placement.job_id for placement in plan.placements}
    allowed = feasibility(drawn).matrix
    rows = {job.id: j for j, job in enumerate(drawn.jobs)}
    columns = {resource.id: r for r, resource in enumerate(drawn.resources)}
    assert placed | set(plan.unplaced) == set(rows)
    assert not placed & set(plan.unplaced)
    assert all(plan.unplaced.values())
    assert all(allowed[rows[one.job_id], columns[one.resource_id]] for one in plan.placements)
    assert all(not allowed[rows[job_id]].any() for job_id in plan.unplaced)
    for j, job in enumerate(drawn.jobs):
        copies = [one.replica for one in plan.placements if one.job_id == job.id]
        assert sorted(copies) == list(range(min(job.resilience.replicas, int(allowed[j].sum()))))
    assert plan == policy.plan(copy.deepcopy(drawn))


def test_what_is_short_starts_first_and_the_others_follow_as_units_become_free():
    plan = as_policy(REFERENCES["srpt"]).plan(problem([[30.0], [10.0], [20.0]], spread=0.0))
    assert [one.job_id for one in plan.placements] == ["j1", "j2", "j0"]


def test_a_resource_that_is_not_free_yet_is_waited_for():
    waiting = problem([[10.0, 1.0]], free_in_s=[5.0, 0.0], feasible=[[True, False]])
    plan = as_policy(REFERENCES["srpt"]).plan(waiting)
    assert [one.resource_id for one in plan.placements] == ["r0"]


class Never:
    name, refresh_rounds = "never", 0

    def allocate(self, now):
        return Allocation(choice=np.full(len(now.numbers), -1), score=2.0, bound=1.0)


def test_a_job_that_the_rounds_never_start_waits_for_its_fastest_resource():
    policy = as_policy(Never())
    plan = policy.plan(problem([[30.0, 10.0]]))
    assert policy.name == "never"
    assert [one.resource_id for one in plan.placements] == ["r1"]
    assert (plan.bound, plan.gap, plan.score) == (1.0, 1.0, {"objective": 2.0})


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_without_resources_without_time_and_with_all_the_time_there_is_a_plan(name):
    policy = as_policy(Adaptive(name=name, rollouts=4, polish=2) if name in (DEFAULT, ORACLE) else POLICIES[name])
    nowhere = policy.plan(problem(np.empty((3, 0))))
    assert nowhere.unplaced == {f"j{i}": "there is no resource" for i in range(3)}
    for runtime_s in (0.0, 1e9):
        plan = policy.plan(problem(np.full((17, 2), runtime_s), [1.0, 1.0]))
        assert {one.job_id for one in plan.placements} == {f"j{i}" for i in range(17)}
