"""Runtimes between quantiles and beyond them, and what is left after some time has gone by."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnaml.core.prediction import LEVELS
from dnaml.schedule.remaining import LIKELY, remaining_s, runtimes_s, share_done

LEVEL = np.array(LEVELS)


def lognormal(sigma, median=100.0):
    from scipy.stats import norm

    return median * np.exp(sigma * norm.ppf(LEVEL))


def test_runtimes_run_through_the_quantiles():
    values = lognormal(0.5)
    np.testing.assert_allclose(runtimes_s(LEVEL, values, LEVEL), values)


def test_fresh_work_has_about_the_mean_of_its_distribution():
    values = lognormal(0.5)
    times = remaining_s(LEVEL, values)
    assert len(times) == LIKELY
    assert (np.diff(times) >= 0).all()
    assert times.mean() == pytest.approx(100 * np.exp(0.125), rel=0.04)


@pytest.mark.parametrize("elapsed", [50.0, 120.0, 200.0])
def test_what_is_left_matches_draws_that_have_not_ended(elapsed):
    draws = 100 * np.exp(0.5 * np.random.default_rng(0).standard_normal(400_000))
    left = draws[draws > elapsed] - elapsed
    times = remaining_s(LEVEL, lognormal(0.5), elapsed)
    assert np.median(times) == pytest.approx(np.median(left), rel=0.12)
    assert times.mean() == pytest.approx(left.mean(), rel=0.2)


def test_beyond_the_highest_quantile_waiting_makes_the_rest_longer():
    values = lognormal(0.8)
    means = [remaining_s(LEVEL, values, elapsed).mean() for elapsed in (400.0, 800.0, 1600.0)]
    assert means == sorted(means)
    assert means[0] < means[2]


@given(elapsed=st.floats(0.0, 1e4), sigma=st.floats(0.0, 1.5))
def test_the_share_done_and_the_runtimes_are_inverse(elapsed, sigma):
    values = lognormal(sigma)
    share = share_done(LEVEL, values, elapsed)
    assert 0 <= share <= 1
    if sigma > 0.01 and share < 1 - 1e-9 and float(runtimes_s(LEVEL, values, np.zeros(1))[0]) < elapsed:
        assert float(runtimes_s(LEVEL, values, np.array([share]))[0]) == pytest.approx(elapsed, rel=1e-6)


def test_a_certain_runtime_leaves_its_rest_and_then_nothing():
    sure = np.full(len(LEVEL), 10.0)
    np.testing.assert_allclose(remaining_s(LEVEL, sure, 4.0), 6.0)
    np.testing.assert_allclose(remaining_s(LEVEL, sure, 15.0), 0.0)


def test_one_level_is_enough():
    np.testing.assert_allclose(remaining_s(np.array([0.5]), np.array([10.0]), 4.0), 6.0)


def test_levels_that_reach_one_and_runtimes_of_zero_have_no_tail():
    assert remaining_s(np.array([0.5, 1.0]), np.array([1.0, 2.0]), 3.0).max() == 0
    assert remaining_s(np.array([0.5, 0.9]), np.array([0.0, 0.0]), 0.0).max() == 0
