"""Fading, robust updates and the slow-down filter."""

import math

import numpy as np
import pytest

from dnaml.core.errors import InputError
from dnaml.core.types import Resource, Site
from dnaml.predict.slowdown import (
    EFFECT_SD,
    LEVEL_SD,
    SLOWEST_LOG,
    SlowDown,
    believed_noise,
    believed_update,
    faded,
    kept_share,
    memory_s,
)


def test_what_is_known_fades_into_the_prior():
    prior, wide = np.array([1.0, -1.0]), np.diag([0.5, 0.2])
    mean, covariance = np.array([2.0, 0.0]), np.array([[0.1, 0.02], [0.02, 0.05]])
    same = faded(mean, covariance, prior, wide, kept_share(0.0, 10.0))
    np.testing.assert_allclose(same[0], mean)
    np.testing.assert_allclose(same[1], covariance)
    gone = faded(mean, covariance, prior, wide, kept_share(1e9, 10.0))
    np.testing.assert_allclose(gone[0], prior)
    np.testing.assert_allclose(gone[1], wide)
    twice = faded(*faded(mean, covariance, prior, wide, kept_share(3.0, 10.0)), prior, wide, kept_share(4.0, 10.0))
    once = faded(mean, covariance, prior, wide, kept_share(7.0, 10.0))
    np.testing.assert_allclose(twice[0], once[0])
    np.testing.assert_allclose(twice[1], once[1])


def test_time_that_runs_backwards_counts_as_none_and_a_memory_must_be_positive():
    assert kept_share(-5.0, 10.0) == 1.0
    with pytest.raises(InputError, match="tau_s must be positive, got 0"):
        kept_share(1.0, 0.0)


def test_shared_resources_forget_within_hours():
    assert memory_s(Resource(id="a")) == 14 * 86_400
    assert memory_s(Resource(id="b", site=Site.SERVERLESS)) == 6 * 3_600
    assert memory_s(Resource(id="c", labels={"use_spot": "true"})) == 6 * 3_600


def test_noise_is_inflated_only_for_innovations_beyond_three_sd():
    found = believed_noise(np.array([0.0, 2.9, -6.0]), np.ones(3), np.full(3, 0.5))
    np.testing.assert_allclose(found, [0.5, 0.5, 2.0])


def test_a_run_that_agrees_updates_exactly_and_an_outlier_moves_little():
    covariance, loadings = np.array([[0.3, 0.1], [0.1, 0.2]]), np.array([1.0, 0.5])
    mean = np.array([0.1, 0.0])
    precision = np.linalg.inv(covariance) + np.outer(loadings, loadings) / 0.04
    expected = np.linalg.solve(precision, np.linalg.solve(covariance, mean) + loadings * 0.3 / 0.04)
    found, narrower = believed_update(mean, covariance, loadings, 0.3, 0.04)
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(narrower, np.linalg.inv(precision))
    sure = np.array([[0.01]])
    plain = 100.0 * 0.01 / 0.05  # what a Gaussian would believe of it
    assert abs(believed_update(np.zeros(1), sure, np.ones(1), 100.0, 0.04)[0][0]) < plain / 100


def test_without_doubt_nothing_is_learned():
    mean, covariance = believed_update(np.ones(1), np.zeros((1, 1)), np.ones(1), 5.0, 0.0)
    assert mean.tolist() == [1.0]
    assert covariance.tolist() == [[0.0]]


def test_before_any_run_nothing_is_slow_and_the_doubt_is_the_prior_s():
    slow = SlowDown.of("load")
    assert slow.log_slow(0.0, {"load": 1.0}) == (0.0, pytest.approx(LEVEL_SD**2 + EFFECT_SD**2))
    assert SlowDown().log_slow(0.0, {}) == (0.0, pytest.approx(LEVEL_SD**2))


def test_the_effect_of_load_is_learned_and_told_from_a_passing_level():
    rng, slow = np.random.default_rng(0), SlowDown.of("load", "heat")
    for run in range(300):
        load = float(rng.random() < 0.5)
        slow = slow.updated(run * 600.0, {"load": load}, 0.4 * load + 0.05 * float(rng.normal()), 0.01)
    later = 300 * 600.0 + 86_400.0
    busy, _ = slow.log_slow(later, {"load": 1.0})
    quiet, variance = slow.log_slow(later, {"load": 0.0})
    assert busy - quiet == pytest.approx(0.4, abs=0.05)
    assert quiet == pytest.approx(0.0, abs=0.02)
    assert variance == pytest.approx(LEVEL_SD**2, rel=0.05)


def test_a_slow_hour_is_followed_and_forgotten_the_next_day():
    slow = SlowDown.of()
    for run in range(20):
        slow = slow.updated(run * 60.0, {}, 0.7, 0.01)
    assert slow.log_slow(1200.0, {})[0] > 0.6
    assert abs(slow.log_slow(1200.0 + 86_400.0, {})[0]) < 0.01
    assert slow.log_slow(0.0, {})[0] > 0.6  # a question about the past is answered with what is known now


def test_drivers_that_cannot_be_and_answers_beyond_reason_are_bounded():
    slow = SlowDown.of("load").updated(0.0, {"load": math.nan}, 1e6, 1e-6)
    mean, variance = slow.log_slow(0.0, {"load": math.inf})
    assert -SLOWEST_LOG <= mean <= SLOWEST_LOG
    assert math.isfinite(variance)
    for wrong in ((math.nan, 0.1), (0.0, 0.0), (0.0, math.inf)):
        with pytest.raises(InputError, match="slow-down: log_error and noise must be finite"):
            slow.updated(0.0, {}, *wrong)


def test_years_of_silence_leave_the_prior():
    slow = SlowDown.of("load").updated(0.0, {"load": 1.0}, 0.5, 0.01)
    mean, variance = slow.log_slow(1e10, {"load": 1.0})
    assert mean == pytest.approx(0.0, abs=1e-9)
    assert variance == pytest.approx(LEVEL_SD**2 + EFFECT_SD**2)
