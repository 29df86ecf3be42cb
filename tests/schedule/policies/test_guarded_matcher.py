"""The guarded form of the seed's matcher."""

import numpy as np

from dnaml.schedule.policies.guarded_matcher import GuardedMatcherPolicy
from tests.contracts.problems import problem

POLICY = GuardedMatcherPolicy()


def test_a_perfect_match_is_not_free() -> None:
    wanted = problem([[1.0, 1e6]], [1.0, 1.0], similarity=np.array([[0.5, 1.0]]))
    assert POLICY.plan(wanted).placements[0].resource_id == "r0"


def test_of_equal_cost_and_time_the_more_alike_wins() -> None:
    wanted = problem([[1.0, 1.0]], [1.0, 1.0], similarity=np.array([[0.5, 0.9]]))
    assert POLICY.plan(wanted).placements[0].resource_id == "r1"


def test_a_batch_spreads_over_the_resources() -> None:
    wanted = problem([[1.0, 1.0]] * 8, objective="min_latency", similarity=np.full((8, 2), 0.5))
    plan = POLICY.plan(wanted)
    assert sorted(p.resource_id for p in plan.placements) == ["r0"] * 4 + ["r1"] * 4


def test_least_cost_stays_with_the_cheapest() -> None:
    wanted = problem([[2.0, 1.0]] * 4, [1.0, 3.0], objective="min_cost")
    assert {p.resource_id for p in POLICY.plan(wanted).placements} == {"r0"}
