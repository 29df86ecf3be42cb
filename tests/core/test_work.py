"""What users bring checks itself: objectives, constraints, resilience, computations."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnaml.core.errors import InputError
from dnaml.core.work import PRESETS, Computation, Constraints, Objective, Resilience

WEIGHTS = st.floats(min_value=0, max_value=1e6)


@given(cost=WEIGHTS, latency=WEIGHTS, resilience=WEIGHTS, energy=st.floats(min_value=1e-3, max_value=1e6))
def test_shares_sum_to_one_and_keep_the_ratios(cost, latency, resilience, energy):
    shares = Objective(cost=cost, latency=latency, resilience=resilience, energy=energy).shares()
    assert sum(shares) == pytest.approx(1.0)
    assert shares[0] * energy == pytest.approx(cost * shares[3])


@pytest.mark.parametrize(
    "weights",
    [
        {"cost": 0.0, "latency": 0.0, "resilience": 0.0},
        {"cost": -1.0},
        {"latency": math.nan},
        {"energy": math.inf},
    ],
)
def test_weights_that_are_negative_all_zero_or_not_finite_are_refused(weights):
    with pytest.raises(InputError, match="objective weights must be finite and non-negative with a positive sum"):
        Objective(**weights)


@pytest.mark.parametrize("name", PRESETS)
def test_an_objective_is_made_from_the_name_of_a_preset(name):
    assert Objective.of(name) == Objective(**PRESETS[name])


def test_an_objective_is_made_from_weights_and_from_itself():
    objective = Objective.of({"latency": 2})
    assert objective == Objective(cost=0.0, latency=2.0, resilience=0.0, energy=0.0)
    assert Objective.of(objective) is objective


def test_an_unknown_weight_or_preset_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="objective has no weight 'speed'; cost, latency, resilience, energy"):
        Objective.of({"speed": 1})
    with pytest.raises(InputError, match="must be one of min_cost, min_latency, balanced or weights, got 'fast'"):
        Objective.of("fast")


@pytest.mark.parametrize("name", ["deadline_s", "max_cost_usd", "max_price_usd_per_h"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
def test_a_limit_must_be_positive(name, value):
    with pytest.raises(InputError, match=f"constraints: {name} must be positive, got {value}"):
        Constraints(**{name: value})


def test_limits_may_be_absent_or_positive():
    assert Constraints().deadline_s is None
    assert Constraints(deadline_s=1.0, max_cost_usd=2.0, max_price_usd_per_h=3.0).max_cost_usd == 2.0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"replicas": 0}, "replicas must be at least 1, got 0"),
        ({"max_restarts": -1}, "max_restarts must not be negative, got -1"),
        ({"checkpoint_every_s": 0.0}, "checkpoint_every_s must be positive, got 0.0"),
        ({"checkpoint_every_s": math.nan}, "checkpoint_every_s must be positive, got nan"),
    ],
)
def test_counts_of_resilience_that_make_no_sense_are_refused(wrong, said):
    with pytest.raises(InputError, match=f"resilience: {said}"):
        Resilience(**wrong)


def test_resilience_keeps_sensible_counts():
    wanted = Resilience(replicas=2, max_restarts=3, checkpoint_every_s=1.5)
    assert (wanted.replicas, wanted.max_restarts, wanted.checkpoint_every_s) == (2, 3, 1.5)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"id": ""}, "computation id must not be empty"),
        ({"size": {"n": math.nan}}, "fit: size n must be finite, got nan"),
        ({"demand": {"flop": math.inf}}, "fit: demand flop must be finite, got inf"),
        ({"memory_bytes": -1}, "fit: memory_bytes must not be negative, got -1"),
        ({"input_bytes": -1}, "fit: input_bytes must not be negative, got -1"),
    ],
)
def test_a_computation_that_cannot_be_is_refused(wrong, said):
    with pytest.raises(InputError, match=said):
        Computation(**{"id": "fit", "kernel": "fit", **wrong})


def test_a_computation_keeps_its_sizes_and_demands():
    computation = Computation(
        id="fit", kernel="fit", size={"n": 10.0}, demand={"flop": 1e9}, memory_bytes=0, input_bytes=5
    )
    assert (computation.size, computation.demand) == ({"n": 10.0}, {"flop": 1e9})
