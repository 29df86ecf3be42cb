"""What holds for every round policy: an allocation is possible, within the pools, repeatable, and changes no input."""

from dataclasses import fields, replace

import numpy as np
import pytest

from dnaml.core.errors import InputError
from dnaml.schedule.rounds.adaptive import Adaptive
from dnaml.schedule.rounds.elastic import Elastic
from dnaml.schedule.rounds.reference import REFERENCES
from dnaml.schedule.rounds.registry import POLICIES, by_name
from dnaml.schedule.rounds.round import Allocation, check
from tests.schedule.rounds.rounds import a_round, drawn

ALL = [*REFERENCES.values(), Adaptive(rollouts=12, polish=6), Elastic()]


@pytest.mark.parametrize("elastic", [False, True], ids=["rigid", "elastic"])
@pytest.mark.parametrize("policy", ALL, ids=lambda policy: policy.name)
def test_an_allocation_is_possible_repeatable_and_changes_nothing(policy, elastic):
    for seed in range(2):
        now = drawn(seed, elastic=elastic)
        before = {field.name: np.copy(getattr(now, field.name)) for field in fields(now) if field.name != "objective"}
        first = policy.allocate(now)
        check(now, first)
        np.testing.assert_array_equal(first.choice, policy.allocate(now).choice)
        for name, value in before.items():
            np.testing.assert_array_equal(value, getattr(now, name))
        later = replace(now, at_s=now.at_s + 4000.0, held=first.choice, memory=first.memory)
        check(later, policy.allocate(later))


@pytest.mark.parametrize("policy", ALL, ids=lambda policy: policy.name)
def test_jobs_that_can_run_nowhere_are_left_and_nothing_is_placed_on_nothing(policy):
    nowhere = a_round([[np.inf, np.inf], [10.0, 20.0]], units=[[1, 1], [5, 5]])
    assert policy.allocate(nowhere).choice.tolist() == [-1, -1]
    assert policy.allocate(a_round(np.empty((0, 2)))).choice.tolist() == []
    closed = a_round([[10.0, 20.0]], capacity=(0, 0))
    assert policy.allocate(closed).choice.tolist() == [-1]


@pytest.mark.parametrize("policy", ALL, ids=lambda policy: policy.name)
def test_a_job_alone_runs(policy):
    assert policy.allocate(a_round([[10.0, 20.0]])).choice[0] >= 0


def test_a_policy_is_found_by_its_name_and_a_typo_gets_a_hint():
    assert by_name("srpt") is POLICIES["srpt"]
    with pytest.raises(InputError, match="did you mean 'srpt'"):
        by_name("srtp")


def test_an_impossible_allocation_is_refused_with_the_job_the_pool_and_the_numbers():
    now = a_round([[10.0, np.inf], [10.0, 5.0]])
    with pytest.raises(InputError, match="one entry a job"):
        check(now, Allocation(choice=np.array([0])))
    with pytest.raises(InputError, match="job 0 was given configuration 1, on which it cannot run"):
        check(now, Allocation(choice=np.array([1, -1])))
    with pytest.raises(InputError, match="pool 0 has 1 units, the allocation uses 2"):
        check(now, Allocation(choice=np.array([0, 0])))


def test_the_gap_is_the_distance_to_a_bound_where_there_is_one():
    nobody = np.empty(0, dtype=np.int64)
    assert Allocation(choice=nobody, score=1.1, bound=1.0).gap == pytest.approx(0.1)
    assert Allocation(choice=nobody).gap is None
    assert Allocation(choice=nobody, score=1.0, bound=0.0).gap is None
