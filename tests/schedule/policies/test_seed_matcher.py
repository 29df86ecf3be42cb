"""The seed algorithm: as its author wrote it, with its two known degeneracies."""

from itertools import chain, combinations

import numpy as np
import pytest

from dnaml.core.work import Objective
from dnaml.schedule.policies.seed_matcher import (
    EXHAUSTIVE_RESOURCES,
    SeedMatcherPolicy,
    best_combination,
    similarity_of,
)
from dnaml.schedule.queues import FloatArray
from tests.contracts.problems import problem

POLICY = SeedMatcherPolicy()


def as_the_author_wrote_it(
    cost: FloatArray, latency: FloatArray, similarity: FloatArray, weights: tuple[float, float]
) -> tuple[int, ...]:
    """Run the loop word by word."""
    best: tuple[int, ...] = ()
    lowest = np.inf
    everything = chain.from_iterable(combinations(range(len(cost)), size) for size in range(1, len(cost) + 1))
    for combination in everything:
        total_cost = total_latency = 0.0
        for r in combination:
            total_cost += cost[r] * (1 - similarity[r])
            total_latency += latency[r] * (1 - similarity[r])
        score = weights[0] * total_cost + weights[1] * total_latency
        if score < lowest:
            lowest, best = score, combination
    return best


@pytest.mark.parametrize("seed", range(20))
def test_it_chooses_what_the_authors_loop_chooses(seed: int) -> None:
    rng = np.random.default_rng(seed)
    width = int(rng.integers(1, 8))
    cost, latency, similarity = rng.uniform(0, 5, width), rng.uniform(0, 5, width), rng.random(width)
    found = best_combination(cost, latency, similarity, 0.3, 0.7)
    assert found == as_the_author_wrote_it(cost, latency, similarity, (0.3, 0.7))


@pytest.mark.parametrize("width", [1, 2, 5, EXHAUSTIVE_RESOURCES])
def test_its_first_degeneracy_is_that_a_single_resource_always_wins(width: int) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        cost, latency, similarity = rng.uniform(0, 5, width), rng.uniform(0, 5, width), rng.random(width)
        assert len(best_combination(cost, latency, similarity, 1.0, 1.0)) == 1


def test_its_second_degeneracy_is_that_a_similarity_of_one_makes_everything_free() -> None:
    wanted = problem(
        [[1.0, 1e6]],
        [0.01, 1000.0],
        resources=[{"latency_s": 0.001}, {"latency_s": 30.0}],
        similarity=np.array([[0.99, 1.0]]),
    )
    assert POLICY.plan(wanted).placements[0].resource_id == "r1", "the dearest and slowest by far, for nothing"


def test_more_resources_than_can_be_combined_are_tried_one_by_one() -> None:
    cost = np.arange(EXHAUSTIVE_RESOURCES + 1, 0, -1.0)
    nothing = np.zeros_like(cost)
    assert best_combination(cost, nothing, nothing, 1.0, 1.0) == (EXHAUSTIVE_RESOURCES,)


def test_it_sees_no_queue_and_no_runtime() -> None:
    wanted = problem([[50.0, 1.0]] * 3, [1.0, 2.0], objective="min_cost", free_in_s=[1000.0, 0.0])
    assert {p.resource_id for p in POLICY.plan(wanted).placements} == {"r0"}


def test_weights_choose_between_price_and_latency() -> None:
    wanted = problem(
        [[1.0, 1.0], [1.0, 1.0]],
        [1.0, 2.0],
        objective="min_cost",
        jobs=[{}, {"objective": Objective.of("min_latency")}],
        resources=[{"latency_s": 0.2}, {"latency_s": 0.1}],
    )
    assert [p.resource_id for p in POLICY.plan(wanted).placements] == ["r0", "r1"]


def test_unknown_similarities_count_as_none_at_all() -> None:
    wanted = problem([[1.0, 1.0]], similarity=np.array([[np.nan, 1.5]]))
    assert similarity_of(wanted).tolist() == [[0.0, 1.0]]
    assert similarity_of(problem([[1.0, 1.0]])).tolist() == [[0.0, 0.0]]
