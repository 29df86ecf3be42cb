"""Quantiles and predictions: shapes, order, interpolation, and the rows that a problem repeats."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dnaml.core.errors import InputError
from dnaml.core.prediction import LEVELS, Prediction, Quantiles

LEVEL_ARRAY = np.array(LEVELS)
VALUES = arrays(np.float64, (2, 3, len(LEVELS)), elements=st.floats(1e-3, 1e6)).map(lambda a: np.sort(a, axis=-1))


def quantiles(*values: float) -> Quantiles:
    return Quantiles(levels=np.array([0.1, 0.5, 0.9]), values=np.array([[values]], dtype=np.float64))


@pytest.mark.parametrize("shape", [(3,), (1, 3), (1, 1, 2)])
def test_another_shape_than_one_value_a_level_is_refused(shape):
    with pytest.raises(InputError, match=r"quantiles must be \[C, R, 3\], got"):
        Quantiles(levels=np.array([0.1, 0.5, 0.9]), values=np.ones(shape))


def test_values_that_fall_along_the_levels_are_refused():
    with pytest.raises(InputError, match="quantiles must not fall along the levels"):
        quantiles(1.0, 3.0, 2.0)


@pytest.mark.parametrize(
    ("level", "value"), [(0.01, 1.0), (0.1, 1.0), (0.3, 2.0), (0.5, 3.0), (0.8, 6.0), (0.9, 7.0), (0.99, 7.0)]
)
def test_a_quantile_is_linear_between_levels_and_flat_beyond_them(level, value):
    assert quantiles(1.0, 3.0, 7.0).quantile(level) == pytest.approx(np.array([[value]]))


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, 2.0])
def test_a_level_must_lie_inside_the_unit_interval(level):
    with pytest.raises(InputError, match=r"level must be inside \(0, 1\)"):
        quantiles(1.0, 2.0, 3.0).quantile(level)


@given(values=VALUES, low=st.floats(0.001, 0.999), high=st.floats(0.001, 0.999))
def test_a_higher_level_never_gives_a_lower_value(values, low, high):
    both = Quantiles(levels=LEVEL_ARRAY, values=values)
    low, high = min(low, high), max(low, high)
    assert (both.quantile(low) <= both.quantile(high) * (1 + 1e-12)).all()


@given(values=VALUES)
def test_the_mean_lies_between_the_outermost_values_and_agrees_with_many_draws(values):
    distribution = Quantiles(levels=LEVEL_ARRAY, values=values)
    mean = distribution.mean()
    assert mean.shape == (2, 3)
    assert (mean >= values[..., 0] * (1 - 1e-9)).all()
    assert (mean <= values[..., -1] * (1 + 1e-9)).all()
    draws = distribution.sample(np.random.default_rng(1), 400)
    standard_error = draws.std(axis=-1) / np.sqrt(400)
    assert (np.abs(draws.mean(axis=-1) - mean) <= 6 * standard_error + 1e-6 * mean).all()


def test_draws_are_repeatable_and_share_their_levels_between_pairs():
    values = np.array([[[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]])
    distribution = Quantiles(levels=np.array([0.1, 0.5, 0.9]), values=values)
    draws = distribution.sample(np.random.default_rng(7), 5)
    np.testing.assert_array_equal(draws, distribution.sample(np.random.default_rng(7), 5))
    np.testing.assert_allclose(draws[0, 1], 10 * draws[0, 0])


def test_no_draws_are_an_empty_array_of_the_right_shape():
    assert quantiles(1.0, 2.0, 3.0).sample(np.random.default_rng(0), 0).shape == (1, 1, 0)


def test_rows_repeat_the_answers_for_computations_and_keep_the_resources():
    values = np.arange(1.0, 13.0).reshape(2, 2, 3)
    runtime = Quantiles(levels=np.array([0.1, 0.5, 0.9]), values=values)
    answer = Prediction(
        runtime_s=runtime,
        cost_usd=Quantiles(levels=runtime.levels, values=values / 10),
        feasible=np.array([[True, False], [True, True]]),
        hazard_per_h=np.array([0.1, 0.2]),
        path="stated",
    )
    jobs = answer.rows(np.array([1, 0, 1]))
    np.testing.assert_array_equal(jobs.runtime_s.values, values[[1, 0, 1]])
    np.testing.assert_array_equal(jobs.cost_usd.values, values[[1, 0, 1]] / 10)
    np.testing.assert_array_equal(jobs.feasible, [[True, True], [True, False], [True, True]])
    np.testing.assert_array_equal(jobs.hazard_per_h, [0.1, 0.2])
    assert jobs.path == "stated"


def test_repeated_quantiles_say_what_the_whole_ones_say():
    few = Quantiles(levels=np.array([0.1, 0.5, 0.9]), values=np.sort(np.random.default_rng(0).random((3, 4, 3))))
    index = np.array([2, 0, 0, 1, 2])
    repeated, whole = few.rows(index), Quantiles(levels=few.levels, values=few.values[index])
    np.testing.assert_array_equal(repeated.values, whole.values)
    assert repeated.values is repeated.values
    for level in (0.05, 0.3, 0.5):
        np.testing.assert_array_equal(repeated.quantile(level), whole.quantile(level))
    np.testing.assert_allclose(repeated.mean(), whole.mean())
    np.testing.assert_array_equal(repeated.known(), whole.known())
    np.testing.assert_array_equal(repeated.rows(np.array([4, 1])).values, whole.values[[4, 1]])
