"""The pooled Gaussian model against its textbook form."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from dnaml.predict.bound import TRAITS
from dnaml.predict.history import History, bucket_of
from dnaml.predict.pooled import Posterior, Prior, _quantile, learn, noise_variance, stacked
from tests.predict.worlds import world


def flat_prior(resources, **more):
    return replace(Prior.of_specs([(0.0,) * TRAITS] * resources), **more)


def kernels_of(simulated):
    history = History().updated(simulated.runs)
    return history, history.largest(64)


def test_the_prior_variance_is_the_diagonal_of_the_prior_covariance():
    _, kernels = kernels_of(world(0, kernels=2))
    prior, at = flat_prior(5), kernels[0].at
    np.testing.assert_allclose(prior.variance(at), np.diagonal(prior.between(at, at)))


def test_the_posterior_is_that_of_the_joint_gaussian():
    _, kernels = kernels_of(world(0, kernels=2))
    cells, prior = kernels[0], flat_prior(5, noise_sd=0.1)
    mean, sd = Posterior(prior=prior, cells=cells).at(cells.at)
    noise = noise_variance(prior, cells)
    cov = prior.between(cells.at, cells.at)
    gain = cov @ np.linalg.inv(cov + np.diag(noise / cells.count))
    np.testing.assert_allclose(mean, prior.mean(cells.at) + gain @ (cells.mean - prior.mean(cells.at)), rtol=1e-8)
    np.testing.assert_allclose(sd**2, np.maximum(np.diagonal(cov - gain @ cov), 1e-6) + noise, rtol=1e-6)


@pytest.mark.parametrize("extra", [0, 3])
def test_one_size_on_all_resources_is_answered_as_point_by_point(extra):
    history, _ = kernels_of(world(0, kernels=2))
    name = max(history.kernels, key=lambda each: len(history.kernels[each].cells))
    runs, resources = history.kernels[name], np.arange(5 + extra)
    posterior = Posterior(prior=flat_prior(5 + extra), cells=runs.arrays)
    rows = posterior.over(resources)
    for bucket in (*runs.buckets, bucket_of({"size": 3e7})):
        for item in (*runs.items, None):
            points = runs.points(bucket, item, resources)
            mean, sd, before = rows.at(points)
            np.testing.assert_allclose((mean, sd), posterior.at(points), rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(before, np.sqrt(posterior.prior.variance(points) + posterior.noise))


def test_resources_on_which_a_kernel_never_ran_are_answered_alike():
    _, kernels = kernels_of(world(0, kernels=2))
    cells = kernels[0]
    posterior = Posterior(prior=flat_prior(9), cells=cells)
    only = np.array([7, 8])
    first = {each: getattr(cells.at, each)[:1].repeat(2, axis=0) for each in ("size", "bucket", "item")}
    points = replace(cells.at, **first, resource=only)
    np.testing.assert_allclose(posterior.over(only).at(points)[:2], posterior.at(points), rtol=1e-9)


def test_what_is_left_out_is_predicted_as_without_it():
    _, kernels = kernels_of(world(1, kernels=2))
    cells, prior = kernels[0], flat_prior(5)
    error, variance = Posterior(prior=prior, cells=cells).left_out()
    keep = np.arange(len(cells.count)) != 3
    cov = prior.between(cells.at, cells.at) + np.diag(noise_variance(prior, cells) / cells.count)
    rest = cells.mean[keep] - prior.mean(cells.at)[keep]
    inverse = np.linalg.inv(cov[np.ix_(keep, keep)])
    expected = prior.mean(cells.at)[3] + cov[3, keep] @ inverse @ rest
    assert error[3] == pytest.approx(cells.mean[3] - expected)
    assert variance[3] == pytest.approx(cov[3, 3] - cov[3, keep] @ inverse @ cov[keep, 3])


def test_a_batch_of_kernels_is_solved_as_each_alone():
    _, kernels = kernels_of(world(2, kernels=4))
    prior = flat_prior(5)
    errors, _ = Posterior(prior=prior, cells=stacked(kernels)).left_out()
    for batch, cells in zip(errors, kernels, strict=True):
        alone, _ = Posterior(prior=prior, cells=cells).left_out()
        np.testing.assert_allclose(batch[: len(alone)], alone, rtol=1e-5, atol=1e-7)


def test_learning_finds_how_fast_the_resources_are():
    simulated = world(3, kernels=16)
    history, kernels = kernels_of(simulated)
    prior = learn(kernels, start=flat_prior(5))
    truth = simulated.truth.mean(axis=(0, 1))
    order = [history.codes[r.id] for r in simulated.resources]
    shift = prior.shift[order]
    np.testing.assert_allclose(shift - shift.mean(), truth - truth.mean(), atol=0.12)
    assert prior.noise_sd == pytest.approx(simulated.noise_sd, rel=0.25)


def test_learned_relations_predict_left_out_cells_better_than_none():
    simulated = world(4)
    _, kernels = kernels_of(simulated)
    cells = stacked(kernels)
    used = cells.count > 0

    def loss(prior):
        error, _ = Posterior(prior=prior, cells=cells).left_out()
        return np.abs(error[used]).mean()

    learned = learn(kernels, start=flat_prior(5))
    assert loss(learned) < 0.75 * loss(flat_prior(5))


def test_a_size_never_run_follows_the_slope_of_the_sizes_that_ran():
    simulated = world(5, kernels=1, resources=1, never=0.0)
    history, kernels = kernels_of(simulated)
    points = history.kernels["k0"].points(bucket_of({"n": 550.0}), None, np.array([0]))
    mean, _ = Posterior(prior=flat_prior(1), cells=kernels[0]).at(points)
    assert kernels[0].mean.min() < mean[0] < kernels[0].mean.max()


@pytest.mark.parametrize("count", [1, 2, 7, 64])
def test_a_quantile_is_what_numpy_says(count):
    values = np.random.default_rng(count).normal(size=count)
    for level in (0.0, 0.25, 0.8, 1.0):
        assert _quantile(values, level) == pytest.approx(float(np.quantile(values, level)))


def test_learning_and_predicting_import_no_masked_arrays():
    """They take some 0.05 s to import, in the middle of the first work."""
    script = (
        "import sys\nfrom tests.predict.worlds import world\nfrom dnaml.predict.placing import LivePredictor\n"
        "simulated = world(0, kernels=3)\nlearned = LivePredictor().updated(simulated.runs)\n"
        "known = [run.computation for run in simulated.runs[:5]]\n"
        "learned.predict(known, [run.resource for run in simulated.runs[:5]])\n"
        "assert learned.prior is not None\nprint('numpy.ma' in sys.modules)\n"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "False"
