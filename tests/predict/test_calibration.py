"""Conformal intervals: finite-sample coverage and back-off of small groups."""

import numpy as np
import pytest

from dnaml.core.prediction import LEVELS
from dnaml.predict.calibration import ANY, UNSEEN, Calibration, conformal_quantile

P10, P90 = LEVELS.index(0.1), LEVELS.index(0.9)


def test_the_quantile_covers_one_more_draw_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = [float(rng.normal()) <= conformal_quantile(rng.normal(size=19), 0.9) for _ in range(4000)]
    assert np.mean(hits) == pytest.approx(0.9, abs=0.015)
    below = [float(rng.normal()) < conformal_quantile(rng.normal(size=19), 0.1) for _ in range(4000)]
    assert np.mean(below) == pytest.approx(0.1, abs=0.015)


def test_a_sample_too_small_for_a_level_gives_its_extreme():
    assert conformal_quantile(np.array([3.0, 1.0, 2.0]), 0.95) == 3.0
    assert conformal_quantile(np.array([3.0, 1.0, 2.0]), 0.05) == 1.0


def test_each_group_gets_intervals_as_wide_as_its_own_errors():
    rng = np.random.default_rng(1)
    errors = np.concatenate([rng.normal(0, 1, 2000), rng.normal(0, 3, 2000)])
    groups = [(0, 1)] * 2000 + [(1, 1)] * 2000
    values = Calibration.of(errors, groups).quantiles(np.zeros(2), np.ones(2), [(0, 1), (1, 1)])
    np.testing.assert_allclose(values[:, P90], [1.28, 3.84], rtol=0.08)
    assert (np.diff(values, axis=1) > 0).all()


def test_a_small_group_borrows_from_its_kind_and_an_unknown_one_from_all():
    rng = np.random.default_rng(2)
    errors = np.concatenate([rng.normal(0, 1, 500), rng.normal(0, 10, 5)])
    calibration = Calibration.of(errors, [(0, 1)] * 500 + [(0, 2)] * 5)
    small, unknown, kind = (calibration.quantiles(np.zeros(1), np.ones(1), [g])[0] for g in ((0, 2), (7, 7), (0, ANY)))
    np.testing.assert_allclose(small, kind)
    assert unknown[P90] == pytest.approx(kind[P90])


def test_a_bucket_that_was_never_held_out_has_the_limits_of_the_nearest_of_its_kind():
    rng = np.random.default_rng(3)
    errors = np.concatenate([rng.normal(0, sd, 500) for sd in (4.0, 1.0, 9.0)])
    calibration = Calibration.of(errors, [(0, 1)] * 500 + [(0, 6)] * 500 + [(1, 8)] * 500)
    beyond, most, between, few = (
        calibration.quantiles(np.zeros(1), np.ones(1), [(0, bucket)])[0] for bucket in (8, 6, 3, 1)
    )
    np.testing.assert_array_equal(beyond, most)
    np.testing.assert_array_equal(between, few)


def test_errors_all_on_one_side_leave_the_median_where_it_is():
    values = Calibration.of(np.full(200, 0.5), [(0, 0)] * 200).quantiles(np.zeros(1), np.ones(1), [(0, 0)])[0]
    assert values[LEVELS.index(0.5)] == 0.0
    assert values[P10] == 0.0
    assert values[P90] == 0.5


def test_without_held_out_errors_the_intervals_are_wide():
    values = Calibration().quantiles(np.zeros(1), np.full(1, 2.0), [(0, 0)])[0]
    np.testing.assert_allclose(values, 2 * np.array(UNSEEN))
