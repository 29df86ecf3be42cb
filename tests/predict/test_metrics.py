"""Measures of error, coverage, order and regret by hand-made numbers."""

import math

import numpy as np
import pytest

from dnaml.predict import metrics

TRUTH = np.array([1.0, 2.0, 4.0, 10.0])


def test_errors_are_relative_to_the_truth_and_in_percent():
    predicted = np.array([1.1, 2.0, 2.0, 20.0])
    assert metrics.mdape(TRUTH, predicted) == pytest.approx(30.0)
    assert metrics.mape(TRUTH, predicted) == pytest.approx(40.0)


def test_coverage_counts_the_limits_in():
    assert metrics.coverage(TRUTH, np.array([1.0, 3, 3, 3]), np.array([5.0, 5, 5, 5])) == 50.0


def test_width_is_free_of_scale():
    low, high = TRUTH / 2, TRUTH * 2
    assert metrics.log_width(low, high) == metrics.log_width(1000 * low, 1000 * high) == pytest.approx(math.log(4))


def test_rank_correlation_knows_ties_order_and_constants():
    assert metrics.spearman(TRUTH, TRUTH**3) == pytest.approx(1.0)
    assert metrics.spearman(TRUTH, -TRUTH) == pytest.approx(-1.0)
    assert metrics.spearman(TRUTH, np.ones(4)) == 0.0
    assert metrics.spearman(np.array([1.0, 2, 3, 4]), np.array([1.0, 1, 2, 2])) == pytest.approx(0.894427191)


def test_regret_is_what_the_wrong_choice_costs():
    computation = np.array(["f", "f", "g", "g", "lone"])
    truth = np.array([1.0, 1.5, 2.0, 4.0, 1.0])
    predicted = np.array([2.0, 1.0, 1.0, 2.0, 1.0])
    assert metrics.top1_regret(truth, predicted, computation) == pytest.approx(25.0)
    assert math.isnan(metrics.top1_regret(truth[4:], predicted[4:], computation[4:]))
