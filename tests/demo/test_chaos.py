"""A small batch under killed and frozen workers: every result is there once and equal; the comparison can fail."""

import pytest

from dnaml.client import Executor
from dnaml.demo.chaos import Chaos, calls_of, is_equal, under_chaos
from dnaml.demo.pool import local_pool


def test_equality_is_of_type_and_value_and_only_tiny_losses_have_a_tolerance():
    assert is_equal("a", "a")
    assert not is_equal("a", "b")
    assert not is_equal(1, 1.0)
    assert not is_equal(1.5, None)
    assert not is_equal(512.0, 512.0000000001)
    assert is_equal(4.0e-15, 6.0e-15)
    assert not is_equal(0.0, 1e-6)


@pytest.mark.parametrize("broken", [{"equal": 3}, {"lost": 1}, {"duplicated": 1}])
def test_what_is_unequal_lost_or_doubled_does_not_hold(broken):
    fine = {
        "jobs": 4, "killed": 1, "frozen": 0, "equal": 4, "lost": 0, "duplicated": 0,
        "redone_s": 0.0, "clean_s": 1.0, "chaos_s": 2.0,
    }  # fmt: skip
    assert Chaos(**fine).holds
    assert not Chaos(**{**fine, **broken}).holds


@pytest.mark.timeout(240)
def test_a_batch_survives_killed_and_frozen_workers(tmp_path):
    with Executor(local_pool()[:3], state=tmp_path, objective="min_latency") as executor:
        found = under_chaos(executor, calls_of(1, 1, steps=300), faults=3, seed=2)
    assert found.killed + found.frozen >= 1
    assert found.holds, found
