"""Ridges: they find lines and curves, weigh each other by error, and stand narrow or missing descriptors."""

import numpy as np
import pytest

from dnaml.predict.paired import regress
from dnaml.predict.paired.regress import fit_regressor, kernel_ridge, mixed_kernel, ridge, squared_distance

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
LINE = X @ np.array([[1.0, 0.0], [2.0, -1.0], [0.0, 3.0]]) + 5.0
CURVE = np.sin(2 * X[:, :1])


def test_a_ridge_without_strength_finds_a_line():
    found = ridge(X, LINE, strength=1e-9)
    np.testing.assert_allclose(found(X[:4] + 10), LINE[:4] + 10 * np.array([3.0, 2.0]), atol=1e-6)


def test_a_strong_ridge_says_the_mean():
    np.testing.assert_allclose(ridge(X, LINE, strength=1e12)(X[:2]), np.tile(LINE.mean(axis=0), (2, 1)), atol=1e-6)


def test_a_kernel_ridge_follows_a_curve_that_a_line_cannot():
    near = kernel_ridge(X[:40], CURVE[:40], noise=0.01)
    line = ridge(X[:40], CURVE[:40], strength=1.0)
    assert np.abs(near(X[40:]) - CURVE[40:]).mean() < 0.6 * np.abs(line(X[40:]) - CURVE[40:]).mean()
    assert kernel_ridge(X, CURVE[:, 0], noise=0.1)(X[:5]).shape == (5,)


def test_a_kernel_ridge_of_too_many_rows_keeps_an_even_draw(monkeypatch):
    monkeypatch.setattr(regress, "MOST_ROWS", 20)
    found = kernel_ridge(X, LINE, noise=0.1)
    assert len(found.support) == 20
    assert np.abs(found(X) - LINE).mean() < np.abs(LINE - LINE.mean(axis=0)).mean()


def test_weights_prefer_what_errs_less_and_sum_to_one():
    on_line, on_curve = fit_regressor(X, LINE), fit_regressor(X, CURVE)
    for found in (on_line, on_curve):
        assert sum(found.weights) == pytest.approx(1.0)
    assert on_curve.weights[0] < 0.15 < on_line.weights[0]
    np.testing.assert_allclose(on_line(X), sum(w * p(X) for w, p in zip(on_line.weights, on_line.parts, strict=True)))


def test_few_rows_carry_one_ridge_and_none_of_width_zero_breaks():
    assert len(fit_regressor(X[:5], LINE[:5]).parts) == 1
    np.testing.assert_allclose(fit_regressor(np.zeros((5, 0)), LINE[:5])(np.zeros((2, 0))), [LINE[:5].mean(axis=0)] * 2)
    assert np.isfinite(fit_regressor(np.zeros((20, 0)), LINE[:20])(np.zeros((2, 0)))).all()
    assert np.isfinite(fit_regressor(np.ones((20, 2)), np.ones((20, 1)))(np.ones((2, 2)))).all()


def test_distances_are_never_negative_and_kernels_symmetric():
    assert (squared_distance(X * 1e6, X * 1e6) >= 0).all()
    np.testing.assert_allclose(squared_distance(X[:1], X[1:2])[0, 0], ((X[0] - X[1]) ** 2).sum())
    kernel = mixed_kernel(X, X)
    np.testing.assert_allclose(kernel, kernel.T)
    assert np.linalg.eigvalsh(kernel).min() > -1e-9
