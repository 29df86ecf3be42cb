"""The averaged regression equals the textbook posterior, and its probes left out equal refits without them."""

import numpy as np

from dnaml.predict.paired.grid import FloatArray, Task
from dnaml.predict.paired.kernels import MOST_PROBES, Kernels, Posterior, Settings, merged, regress

OFFSET, NOISE, FREEDOM = 0.4, 0.05, 1e9  # with so much freedom the scale stays at one


def smooth(a: FloatArray, b: FloatArray) -> FloatArray:
    kernel: FloatArray = np.exp(-0.5 * (a[:, None] - b) ** 2)
    return kernel


def problem(probes: int, seed: int = 0) -> tuple[FloatArray, FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(-3, 3, probes))
    return x, np.linspace(-2, 2, 5), np.sin(x) + 0.1 * rng.normal(size=probes)


def solved(x: FloatArray, q: FloatArray, y: FloatArray, *, square: bool = False) -> Posterior:
    both = np.r_[x, q]
    kernels = Kernels(
        blocks=smooth(x, both)[None],
        diagonal=np.ones((1, len(q))),
        means=np.full((1, len(both)), 0.2),
        extra=np.zeros(len(both)),
    )
    settings = Settings(
        mean=np.zeros(1, dtype=np.int64),
        coefficients=np.ones((1, 1)),
        offsets=np.array([OFFSET]),
        noises=np.array([NOISE]),
        log_prior=np.zeros((1, 1, 1)),
        freedom=FREEDOM,
    )
    return regress(kernels, y, np.ones(len(y)), settings, smooth(q, q)[None] if square else None)


def test_the_posterior_is_that_of_a_plain_gaussian_process() -> None:
    x, q, y = problem(7)
    found = solved(x, q, y, square=True)
    matrix = smooth(x, x) + OFFSET + NOISE * np.eye(7)
    cross = smooth(q, x) + OFFSET
    np.testing.assert_allclose(found.mean, 0.2 + cross @ np.linalg.solve(matrix, y - 0.2), atol=1e-8)
    covariance = smooth(q, q) + OFFSET - cross @ np.linalg.solve(matrix, cross.T)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-6)
    np.testing.assert_allclose(found.variance, np.diag(covariance), atol=1e-6)
    np.testing.assert_allclose(found.noise, NOISE, atol=1e-6)


def test_errors_of_probes_left_out_equal_refits_without_them() -> None:
    x, q, y = problem(6)
    found = solved(x, q, y)
    for place in range(6):
        kept = np.arange(6) != place
        without = solved(x[kept], x[place : place + 1], y[kept])
        np.testing.assert_allclose(found.left_out[place], y[place] - without.mean[0], atol=1e-7)
    assert found.own_error == np.abs(found.left_out).mean()


def test_without_probes_the_prior_is_returned() -> None:
    x, q, y = problem(0)
    found = solved(x, q, y)
    np.testing.assert_allclose(found.mean, 0.2)
    np.testing.assert_allclose(found.variance, 1.0 + OFFSET, atol=1e-6)
    assert np.isnan(found.own_error)


def test_a_probe_that_the_others_contradict_loses_weight() -> None:
    x, q, y = problem(12)
    wrong = y.copy()
    wrong[5] += 4.0
    near = np.abs(solved(x, q, wrong).mean - solved(x, q, y).mean).max()
    assert near < 0.4


def test_probes_of_one_item_are_merged_and_too_many_thinned_to_the_newest() -> None:
    item = np.r_[7, 3, 7, -1, -1]
    few = Task(
        y=np.array([1.0, 2.0, 3.0, 4.0, 5.0]),
        item=item,
        item_x=np.zeros((5, 0)),
        scale_out=np.full(5, np.nan),
        entity_x=np.zeros(0),
        telemetry=np.zeros(0),
        runs=np.array([3.0, 1.0, 1.0, 1.0, 1.0]),
    )
    places, y, runs = merged(few)
    np.testing.assert_array_equal(places, [0, 1, 3, 4])
    np.testing.assert_allclose(y, [1.5, 2.0, 4.0, 5.0])
    np.testing.assert_allclose(runs, [4.0, 1.0, 1.0, 1.0])
    count = 4 * MOST_PROBES
    many = Task(
        y=np.zeros(count),
        item=np.arange(count),
        item_x=np.zeros((count, 0)),
        scale_out=np.full(count, np.nan),
        entity_x=np.zeros(0),
        telemetry=np.zeros(0),
    )
    kept = merged(many)[0]
    assert len(kept) == MOST_PROBES
    assert len(np.unique(kept)) == MOST_PROBES
    assert (kept[-MOST_PROBES // 2 :] >= count - MOST_PROBES // 2).all()
    assert kept[0] == 0
