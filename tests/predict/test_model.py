"""The fitted model: noise, leaning on own runs, quantiles, updates."""

import numpy as np
import pytest

from dnaml.core.prediction import LEVELS
from dnaml.predict.design import Encoder
from dnaml.predict.experts import Counts
from dnaml.predict.model import POOL_NOISE_SD, Noise, fit_model, leaned
from tests.predict.test_experts import DESIGN, FRAME, SIMULATED


@pytest.fixture(scope="module")
def model():
    return fit_model(Encoder.of(FRAME), DESIGN, seed=0)


def test_noise_is_that_between_runs_of_a_pair_and_the_pools_for_unknown_kernels():
    noise = Noise.of(DESIGN)
    assert noise.pool == pytest.approx(SIMULATED.noise_sd, rel=0.15)
    np.testing.assert_allclose(noise.sd(np.array(["k0", "new"]))[1], noise.pool)
    assert Noise.of(DESIGN.rows(np.array([0]))).pool == pytest.approx(POOL_NOISE_SD)


def test_a_pair_leans_on_its_own_runs_the_more_the_more_there_are():
    means, sds, weights = np.zeros((3, 1)), np.full((3, 1), 0.3), np.ones((3, 1))
    own = np.array([[0.0, np.nan], [1.0, 1.0], [9.0, 1.0]])
    mean, scale = leaned(means, sds, weights, own, np.full(3, 0.05), 1.0)
    np.testing.assert_allclose(mean, [0.0, 0.5, 0.9])
    assert scale[0] > scale[1] > scale[2] > 0.05


def test_quantiles_rise_and_the_groups_are_named(model):
    log_values, groups = model.log_quantiles(DESIGN, Counts.of(DESIGN))
    assert log_values.shape == (len(DESIGN), len(LEVELS))
    assert (np.diff(log_values, axis=1) >= 0).all()
    assert len(groups) == len(DESIGN)


def test_an_update_adds_rows_and_leaves_the_old_model_as_it_was(model):
    before = model.log_quantiles(DESIGN.rows(np.arange(9)), Counts.of(DESIGN))[0]
    new = DESIGN.rows(np.arange(9))
    slower = type(new)(**{n: getattr(new, n) for n in new.__slots__ if n != "y"}, y=new.target + 1.0)
    warm = model.updated(slower)
    assert len(warm.seen) == len(model.seen) + 9
    assert warm.log_quantiles(new, Counts.of(warm.seen))[0].mean() > before.mean() + 0.1
    np.testing.assert_array_equal(model.log_quantiles(new, Counts.of(DESIGN))[0], before)


def test_a_table_too_small_to_replay_answers_with_even_weights_and_wide_intervals():
    one = DESIGN.rows(np.array([0]))
    model = fit_model(Encoder.of(FRAME), one, seed=0)
    log_values, _ = model.log_quantiles(DESIGN.rows(np.array([0, 50])), Counts.of(one))
    assert np.isfinite(log_values).all()
    assert (log_values[1, -1] - log_values[1, 0]) > 1.0
