"""Means, boosting and neighbours on a table whose truth is known."""

import numpy as np
import pytest

from dnaml.predict.baselines import NEIGHBOUR_MATRIX, Boosting, Means, Neighbours
from dnaml.predict.bilinear import fit_bilinear
from tests.predict.test_bilinear import loss, table


def halves(**more):
    design, truth = table(**more)
    hidden = np.random.default_rng(1).random(len(design)) < 0.3
    return design.rows(~hidden), design.rows(hidden), truth


def test_the_mean_of_a_computation_is_shrunk_and_unknown_ones_get_the_resources():
    design, _ = table()
    means = Means.fit(design.rows(design.computation != "c05"))
    of_c00 = design.target[design.computation == "c00"].mean()
    mean, sd = means.predict(design)
    assert abs(mean[design.computation == "c00"][0] - of_c00) < 0.1 * abs(of_c00 - means.overall) + 0.01
    new = mean[design.computation == "c05"]
    assert len(np.unique(new.round(6))) == 14
    assert (sd > 0).all()
    again = means.updated(design, design.rows(design.computation == "c05"))
    assert again.predict(design)[0][design.computation == "c05"][0] != new[0]


def test_trees_find_what_effects_cannot_and_stay_when_effects_move():
    design, _ = table(rank=0, noise=0.02)
    bump = 0.8 * ((design.resource_x[:, 0] > 0) & (design.computation_x[:, 0] > 0))
    truth_free = design.rows(np.arange(len(design)))
    bumped = type(design)(
        **{n: getattr(truth_free, n) for n in truth_free.__slots__ if n != "y"}, y=design.target + bump
    )
    hidden = np.random.default_rng(1).random(len(design)) < 0.3
    seen, asked = bumped.rows(~hidden), bumped.rows(hidden)
    effects = fit_bilinear(seen, 0)
    boosting = Boosting.fit(seen, effects)
    error = np.abs(boosting.predict(asked)[0] - asked.target).mean()
    assert error < 0.6 * np.abs(effects.predict(asked)[0] - asked.target).mean()
    moved = boosting.updated(bumped, asked)
    assert moved.trees is boosting.trees
    assert np.isfinite(moved.predict(asked)[1]).all()


def test_trees_are_fitted_on_a_bounded_number_of_rows(monkeypatch):
    monkeypatch.setattr("dnaml.predict.baselines.BOOST_ROWS", 60)
    seen, asked, _ = halves()
    assert np.isfinite(Boosting.fit(seen, fit_bilinear(seen, 0), seed=1).predict(asked)[0]).all()


def test_resources_that_behaved_alike_tell_of_each_other():
    design, truth = table(noise=0.02, resources=14)
    twins = truth.copy()
    twins[:, 7:] = truth[:, :7] + 0.3  # each resource has a twin that is slower by a third
    c, r = ([int(name[1:]) for name in ids.tolist()] for ids in (design.computation, design.resource))
    doubled = type(design)(**{n: getattr(design, n) for n in design.__slots__ if n != "y"}, y=twins[c, r])
    hidden = np.random.default_rng(2).random(len(design)) < 0.3
    seen, asked = doubled.rows(~hidden), doubled.rows(hidden)
    effects = fit_bilinear(seen, 0)
    neighbours = Neighbours.fit(seen, effects)
    assert neighbours is not None
    assert loss(neighbours, asked, twins) < 0.7 * loss(effects, asked, twins)
    new = asked.rows(np.arange(3))
    assert np.isfinite(neighbours.updated(seen.joined(new), new).predict(asked)[0]).all()


def test_neighbours_answer_as_scaling_where_a_side_is_unknown():
    design, _ = table()
    seen = design.rows((design.resource != "r03") & (design.computation != "c05"))
    effects = fit_bilinear(seen, 0)
    neighbours = Neighbours.fit(seen, effects)
    assert neighbours is not None
    unknown = design.rows((design.resource == "r03") | (design.computation == "c05"))
    np.testing.assert_array_equal(neighbours.predict(unknown)[0], effects.predict(unknown)[0])


def test_too_large_a_matrix_has_no_neighbours(monkeypatch):
    assert NEIGHBOUR_MATRIX > 1_000_000
    monkeypatch.setattr("dnaml.predict.baselines.NEIGHBOUR_MATRIX", 100)
    seen, _, _ = halves()
    assert Neighbours.fit(seen, fit_bilinear(seen, 0)) is None


@pytest.mark.parametrize("make", [Means.fit, lambda s: Boosting.fit(s, fit_bilinear(s, 0))])
def test_one_rows_answer_does_not_depend_on_the_others(make):
    seen, asked, _ = halves()
    model = make(seen)
    together = model.predict(asked)[0]
    for row in (0, 5):
        np.testing.assert_allclose(model.predict(asked.rows(np.array([row])))[0][0], together[row], rtol=1e-9)
