"""The learned slots: three orders that are one, whatever the numbers, to the rounding of float32."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dnaml.core.errors import DnaVersionError, InputError
from dnaml.core.work import Objective
from dnaml.dna.geometry import (
    CHEAPEST_USD_PER_H,
    COMPLETION,
    DIRECTIONS,
    LEARNED,
    PRICE,
    Weights,
    completed,
    demand_slots,
    learned_angles,
    learned_version,
    log_price,
    one_version,
    raw_version,
    supply_slots,
    version_of,
)


def assert_one_order(phi: np.ndarray, latent: np.ndarray, prices: np.ndarray, weights: Weights) -> None:
    """Compare what a reader of the vectors computes with the objective, up to what float32 can tell."""
    wanted = -(weights.time * (latent @ phi) + weights.cost * (latent @ phi + prices))
    slots = supply_slots(latent, prices, 1.0).astype(np.float64)
    query = demand_slots(phi[None, :], weights)[0].astype(np.float64)
    norm, size = np.linalg.norm(slots, axis=1).max(), np.linalg.norm(query)
    cosine = slots @ query / (np.linalg.norm(slots, axis=1) * size)
    nearness = -np.linalg.norm(slots - query * norm / size, axis=1)
    blur = 8 * np.finfo(np.float32).eps * norm * size  # of the objective: rounding of 16 slots on both sides
    for found in (cosine, nearness):
        order = np.argsort(-found, kind="stable")
        assert (np.diff(wanted[order]) <= blur).all(), "a pair stands in the wrong order by more than rounding"
    np.testing.assert_allclose(cosine * norm * size, wanted, atol=blur)


@pytest.mark.parametrize("weights", [Weights(), Weights(time=0.0, cost=1.0), Weights(time=0.3, cost=0.7)], ids=str)
@pytest.mark.parametrize("seed", range(5))
def test_cosine_euclidean_and_objective_give_one_order(weights: Weights, seed: int) -> None:
    rng = np.random.default_rng(seed)
    phi = np.concatenate([[1.0], rng.normal(0, 1, 13)])
    assert_one_order(phi, rng.normal(0, 1, (2000, 14)), rng.normal(0, 2, 2000), weights)


numbers = st.floats(-1e3, 1e3, width=32)


@settings(max_examples=150, deadline=None)
@given(arrays(np.float64, 13, elements=numbers), arrays(np.float64, (12, 15), elements=numbers), st.floats(0, 1))
def test_the_orders_agree_on_numbers_chosen_to_break_them(phi: np.ndarray, pool: np.ndarray, cost: float) -> None:
    assert_one_order(np.append(1.0, phi), pool[:, :14], pool[:, 14], Weights(time=1.0, cost=cost))


def test_the_orders_agree_when_one_resource_is_far_larger_than_all_others() -> None:
    rng = np.random.default_rng(0)
    latent = rng.normal(0, 1, (500, 14))
    latent[7] *= 1e4
    assert_one_order(np.ones(14), latent, np.zeros(500), Weights(time=1.0, cost=1.0))


def test_all_resources_get_one_norm_and_a_larger_one_lifts_the_others() -> None:
    latent = np.random.default_rng(0).normal(0, 1, (100, 14))
    slots = supply_slots(latent, np.zeros(100), 30.0)
    np.testing.assert_allclose(np.linalg.norm(slots.astype(np.float64), axis=1), 30.0, rtol=1e-6)
    larger = supply_slots(latent[:1] * 50, np.zeros(1), 30.0)
    assert larger[0, -1] == 0.0
    whole = completed(np.concatenate([slots, larger]))
    norms = np.linalg.norm(whole.astype(np.float64), axis=1)
    np.testing.assert_allclose(norms, norms[-1], rtol=1e-6)
    np.testing.assert_array_equal(whole[:, :-1], np.concatenate([slots, larger])[:, :-1])


def test_pools_completed_apart_are_still_ordered_by_the_scalar_product() -> None:
    rng = np.random.default_rng(1)
    near, far = rng.normal(0, 1, (50, 14)), rng.normal(0, 5, (50, 14))
    halves = [supply_slots(near, np.zeros(50), 0.0), supply_slots(far, np.zeros(50), 0.0)]
    offered = np.zeros((100, 32))
    offered[:, LEARNED] = np.concatenate(halves)
    wanted = np.zeros(32)
    wanted[LEARNED] = demand_slots(np.ones((1, 14)), Weights())[0]
    cosine, distance = learned_angles(wanted, offered)
    objective = np.concatenate([near, far]).sum(axis=1)
    np.testing.assert_array_equal(np.argsort(-cosine), np.argsort(objective))
    np.testing.assert_array_equal(np.argsort(distance), np.argsort(objective))


def test_a_computation_that_asks_for_nothing_is_at_right_angles() -> None:
    cosine, distance = learned_angles(np.zeros(32), np.ones((2, 32)))
    np.testing.assert_array_equal(cosine, 0.0)
    np.testing.assert_allclose(distance, np.sqrt(2.0) * 4.0)


def test_slots_lie_where_the_layout_says() -> None:
    assert (LEARNED.start, PRICE, COMPLETION, DIRECTIONS) == (16, 30, 31, 14)
    phi = np.arange(1.0, 15.0)
    found = demand_slots(phi[None, :], Weights(time=0.25, cost=0.5))[0]
    np.testing.assert_allclose(found, [*(-0.75 * phi), -0.5, 0.0])


def test_an_unknown_price_is_the_usual_one_and_none_at_all_the_least() -> None:
    np.testing.assert_allclose(log_price([np.nan, 0.0, 2.0], 0.5), [0.5, np.log(CHEAPEST_USD_PER_H), np.log(2.0)])


@pytest.mark.parametrize("price", [-1.0, np.inf])
def test_a_price_that_cannot_be_is_refused(price: float) -> None:
    with pytest.raises(InputError, match=f"price_usd_per_h must be finite and non-negative, got {price}"):
        log_price([1.0, price], 0.0)


@pytest.mark.parametrize("values", [(0.0, 0.0), (-1.0, 2.0), (np.nan, 1.0), (1.0, np.inf)])
def test_weights_without_time_or_cost_or_below_zero_are_refused(values: tuple[float, float]) -> None:
    with pytest.raises(InputError, match=r"weights \(time, cost, tail, loss\) must be finite and non-negative"):
        Weights(time=values[0], cost=values[1])


def test_weights_follow_an_objective() -> None:
    assert Weights.of(Objective.of("min_cost")) == Weights(time=0.0, cost=1.0)
    assert Weights.of(Objective.of("min_latency")) == Weights(time=1.0, cost=0.0)
    balanced = Weights.of(Objective(cost=1.0, latency=2.0, resilience=1.0, energy=1.0))
    assert (balanced.time, balanced.cost, balanced.loss) == pytest.approx((0.75, 0.25, 0.25))
    alone = Weights.of(Objective(cost=0.0, latency=0.0, resilience=1.0))
    assert alone.loss == pytest.approx(100 * alone.time)


def test_a_version_tells_both_halves() -> None:
    assert (raw_version("raw-1"), learned_version("raw-1")) == ("raw-1", None)
    both = version_of("raw-1", "learned-1-ab")
    assert (raw_version(both), learned_version(both)) == ("raw-1", "learned-1-ab")
    one_version({"a"})
    with pytest.raises(DnaVersionError, match="a, b"):
        one_version({"b", "a"})
