"""Priors by descriptors: groups of alike members left out by a closed form, honest variance, few members."""

import numpy as np
import pytest

from dnaml.predict.paired.prior import LARGEST_VARIANCE, LEAST_VARIANCE, STRENGTHS, PriorFit, groups_of

RNG = np.random.default_rng(0)
SURE = np.zeros(2)


def world(members=40, noise=0.1):
    x = RNG.normal(size=(members, 3))
    return x, x @ np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]) + [3.0, -1.0] + RNG.normal(0, noise, (members, 2))


def test_a_prior_foretells_members_from_descriptors_and_knows_how_well():
    x, vectors = world()
    prior = PriorFit(x)(vectors, SURE)
    further_x, further = world(200)
    error = prior(further_x) - further
    assert np.abs(error).mean() < 0.15
    np.testing.assert_allclose(prior.variance, (error**2).mean(axis=0), rtol=0.6)


def test_descriptors_that_tell_nothing_are_shrunk_away():
    x = RNG.normal(size=(40, 3))
    vectors = RNG.normal(size=(40, 2))
    prior = PriorFit(x)(vectors, SURE)
    assert np.abs(prior.weights).max() < 0.3
    np.testing.assert_allclose(prior.variance, vectors.var(axis=0), rtol=0.4)


def test_the_closed_form_agrees_with_leaving_each_group_out():
    x, vectors = world(20)
    fit = PriorFit(x)
    around = vectors - vectors.mean(axis=0)
    errors, _ = fit._ridges(around)
    place = len(STRENGTHS) // 2
    for group in fit.groups:
        kept = np.setdiff1d(np.arange(len(x)), group)
        scaled = (x - fit.centre) / x.shape[1] ** 0.5
        design = np.c_[np.ones(len(kept)), scaled[kept]]
        penalty = np.diag(np.r_[0.0, np.full(3, fit.strengths[place])])
        solved = np.linalg.solve(design.T @ design + penalty, design.T @ around[kept])
        expected = around[group] - np.c_[np.ones(len(group)), scaled[group]] @ solved
        np.testing.assert_allclose(errors[place + 1][group], expected, rtol=0.02, atol=2e-3)
        without = around[group] - around[kept].mean(axis=0)
        np.testing.assert_allclose(errors[0][group], without, atol=1e-9)


def test_twins_left_out_together_make_the_prior_less_sure():
    centres = RNG.normal(size=(8, 5))
    x = np.repeat(centres, 4, axis=0) + RNG.normal(0, 1e-3, (32, 5))
    vectors = np.repeat(RNG.normal(size=(8, 2)), 4, axis=0)
    together = PriorFit(x)
    assert sorted(len(group) for group in together.groups) == [4] * 8
    alone = PriorFit(x)
    alone.groups = [np.array([place]) for place in range(len(x))]
    alone.left_out = [alone._left_out(strength) for strength in alone.strengths]
    assert (together(vectors, SURE).variance > 2 * alone(vectors, SURE).variance).all()


def test_unsure_vectors_widen_the_prior():
    x, vectors = world()
    fit = PriorFit(x)
    np.testing.assert_allclose(fit(vectors, SURE + 0.5).variance, fit(vectors, SURE).variance + 0.5)
    assert (fit(vectors, SURE + 100).variance == LARGEST_VARIANCE).all()


@pytest.mark.parametrize("members", [1, 2, 3])
def test_few_members_give_their_mean_and_a_wide_variance(members):
    x, vectors = world(members)
    prior = PriorFit(x)(vectors, SURE)
    np.testing.assert_allclose(prior(x), np.tile(vectors.mean(axis=0), (members, 1)))
    assert (prior.variance > 0.5).all()


def test_without_descriptors_the_mean_is_the_prior():
    vectors = RNG.normal(size=(30, 2))
    prior = PriorFit(np.zeros((30, 0)))(vectors, SURE)
    assert prior.weights.shape == (0, 2)
    np.testing.assert_allclose(prior(np.zeros((1, 0)))[0], vectors.mean(axis=0))


def test_vectors_that_descriptors_explain_wholly_or_that_are_equal_stay_finite():
    x, _ = world(20)
    for vectors in (np.ones((20, 2)), x[:, :2]):
        prior = PriorFit(x)(vectors, SURE)
        assert np.isfinite(prior(x)).all()
        assert (prior.variance >= LEAST_VARIANCE).all()
    same = PriorFit(np.ones((20, 2)))(x[:, :2], SURE)
    assert np.isfinite(same(np.ones((1, 2)))).all()


def test_groups_hold_every_member_once_and_few_stand_alone():
    for members in (5, 6, 30):
        found = groups_of(RNG.normal(size=(members, 2)))
        assert sorted(np.concatenate(found).tolist()) == list(range(members))
    assert len(groups_of(RNG.normal(size=(5, 2)))) == 5
    assert len(groups_of(RNG.normal(size=(30, 2)))) == 7
    assert len(groups_of(np.zeros((30, 0)))) == 30
