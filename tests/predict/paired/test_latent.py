"""The latent model: exact posteriors, probes that help, outliers that do not, items never seen."""

from dataclasses import replace

import numpy as np
import pytest

from dnaml.predict.paired.latent import STARTS, Latent, Latents, fits_of, given_probes
from dnaml.predict.paired.sources import Sources
from tests.predict.paired.grids import grid, only, task, unseen

WHOLE = grid(9, 14)
USE = np.arange(9) < 7
HELD = (7, 8)


@pytest.fixture(scope="module")
def fitted():
    return Latents.fit(WHOLE, USE, 1, fits_of(WHOLE, USE)), Sources.of(WHOLE, USE)


def test_a_posterior_is_that_of_exact_gaussian_regression():
    rng = np.random.default_rng(0)
    basis, prior, wide = rng.normal(size=(4, 3)), rng.normal(size=3), np.array([1.0, 2.0, 0.5])
    variance = np.array([0.5, 0.1, 0.2, 0.4])
    target = basis @ prior + 0.1
    found = given_probes(prior, wide, basis, target, variance)
    gain = np.diag(wide) @ basis.T @ np.linalg.inv(basis @ np.diag(wide) @ basis.T + np.diag(variance))
    np.testing.assert_allclose(found.mean, prior + gain @ (target - basis @ prior))
    np.testing.assert_allclose(found.covariance, np.diag(wide) - gain @ basis @ np.diag(wide))
    for place in range(4):
        kept = np.arange(4) != place
        without = given_probes(prior, wide, basis[kept], target[kept], variance[kept])
        np.testing.assert_allclose(found.left_out[place], target[place] - basis[place] @ without.mean, rtol=1e-6)


def test_without_probes_the_prior_stays_and_one_probe_leaves_nothing_out():
    nothing = given_probes(np.ones(2), np.ones(2), np.zeros((0, 2)), np.zeros(0), np.zeros(0))
    np.testing.assert_allclose(nothing.mean, np.ones(2))
    np.testing.assert_allclose(nothing.covariance, np.eye(2))
    one = given_probes(np.zeros(2), np.ones(2), np.ones((1, 2)), np.ones(1), np.ones(1))
    assert len(one.left_out) == 0
    np.testing.assert_allclose(one.mean, np.full(2, 1 / 3))


def test_a_probe_that_the_others_contradict_loses_weight():
    basis, variance = np.ones((8, 1)), np.full(8, 0.01)
    target = np.zeros(8)
    target[0] = 8.0
    found = given_probes(np.zeros(1), np.ones(1), basis, target, variance)
    assert abs(found.mean[0]) < 0.1 < target.mean()


def test_probes_make_the_answer_better_and_surer(fitted):
    latents, sources = fitted
    errors, sds = {}, {}
    for probes in (0, 2, 6):
        said = [latents.answer(task(WHOLE, e, probes), sources) for e in HELD]
        truth = [WHOLE.y[e, probes:] for e in HELD]
        errors[probes] = np.mean([np.abs(a.mean - t).mean() for a, t in zip(said, truth, strict=True)])
        sds[probes] = np.mean([a.sd.mean() for a in said])
        assert all(np.isnan(a.own_error) == (probes == 0) for a in said)
    assert errors[6] < errors[0]
    assert errors[6] < 0.3
    assert sds[6] < sds[2] < sds[0]


def test_the_joint_answer_agrees_with_the_single_ones(fitted):
    latents, sources = fitted
    asked = task(WHOLE, 7, 4)
    part = latents.parts[0]
    mean, covariance, noise = part.joint(asked, sources)
    answer = part.answer(asked, sources)
    np.testing.assert_allclose(mean, answer.mean)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance) + noise), answer.sd)
    means, covariances, noises = latents.joint(asked, sources)
    np.testing.assert_allclose(means, latents.answer(asked, sources).mean)
    assert np.linalg.eigvalsh(covariances).min() > -1e-9
    assert (noises > 0).all()


def test_one_pair_at_a_time_gives_the_same_answer(fitted):
    latents, sources = fitted
    asked = task(WHOLE, 8, 3)
    together = latents.answer(asked, sources)
    for place in (0, 5, asked.asked - 1):
        alone = latents.answer(only(asked, place), sources)
        np.testing.assert_allclose([alone.mean[0], alone.sd[0]], [together.mean[place], together.sd[place]], rtol=1e-9)


def test_an_item_never_seen_is_answered_less_surely(fitted):
    latents, sources = fitted
    seen, new = (latents.answer(t, sources) for t in (task(WHOLE, 7, 5), unseen(task(WHOLE, 7, 5))))
    assert np.isfinite(new.mean).all()
    assert (new.sd > seen.sd).all()


def test_a_wild_probe_moves_the_answer_little(fitted):
    latents, sources = fitted
    honest = task(WHOLE, 7, 8)
    y = honest.y.copy()
    y[2] += 5.0
    moved = latents.answer(replace(honest, y=y), sources).mean - latents.answer(honest, sources).mean
    assert np.abs(moved).max() < 0.4


def test_starts_differ_and_are_averaged(fitted):
    latents, sources = fitted
    assert len(latents.parts) == STARTS
    asked = task(WHOLE, 7, 2)
    means = np.stack([part.answer(asked, sources).mean for part in latents.parts])
    np.testing.assert_allclose(latents.answer(asked, sources).mean, means.mean(axis=0))
    first = Latent.fit(WHOLE, USE, 1, fits_of(WHOLE, USE), seed=0)
    np.testing.assert_array_equal(first.item_mean, latents.parts[0].item_mean)


def test_disagreement_of_the_parts_counts_as_variance(fitted):
    latents, sources = fitted
    asked = task(WHOLE, 7, 0)
    answers = [part.answer(asked, sources) for part in latents.parts]
    found = latents.answer(asked, sources)
    apart = np.var([a.mean for a in answers], axis=0)
    np.testing.assert_allclose(found.sd**2, np.mean([a.sd**2 for a in answers], axis=0) + apart)


def test_a_matrix_too_small_for_the_rank_has_no_model():
    assert Latents.fit(WHOLE, USE, 4, fits_of(WHOLE, USE)) is None
    small = np.arange(9) < 1
    assert Latent.fit(WHOLE, small, 1, fits_of(WHOLE, small)) is None


def test_gaps_and_no_descriptors_still_give_finite_answers():
    holed = grid(6, 10, gaps=0.3, described=False)
    use = np.arange(6) < 5
    found = Latents.fit(holed, use, 1, fits_of(holed, use))
    asked = replace(task(holed, 5, 0), item=np.r_[np.arange(9), -1])
    answer = found.answer(asked, Sources.of(holed, use))
    assert np.isfinite(answer.mean).all()
    assert (answer.sd > 0).all()
