"""Effects and interactions on a table whose truth is known, and their exact updates."""

import numpy as np
import pytest

from dnaml.predict.bilinear import fit_bilinear, regress
from dnaml.predict.bound import RATES
from dnaml.predict.design import Design


def table(seed=0, *, resources=14, computations=30, rank=2, features=True, noise=0.03):
    """A complete table with known truth: the design, and the ln seconds as a matrix [C, R]."""
    rng = np.random.default_rng(seed)
    x_r, x_c = rng.normal(size=(resources, 3)), rng.normal(size=(computations, 2))
    speed, load = x_r @ [0.5, -0.3, 0.2] + rng.normal(0, 0.1, resources), rng.normal(0, 0.4, (resources, rank))
    level, taste = x_c @ [1.0, 0.5] + rng.normal(0, 0.3, computations), rng.normal(0, 1, (computations, rank))
    truth = level[:, None] + speed[None, :] + taste @ load.T
    c, r = (index.ravel() for index in np.indices(truth.shape))
    shape = (len(c), 0)
    design = Design(
        resource=np.array([f"r{i:02}" for i in r]),
        computation=np.array([f"c{i:02}" for i in c]),
        kernel=np.array([f"c{i:02}" for i in c]),
        size=np.empty(shape),
        resource_x=x_r[r] if features else np.empty(shape),
        computation_x=x_c[c] if features else np.empty(shape),
        rates=np.full((len(c), len(RATES)), np.nan),
        y=truth[c, r] + rng.normal(0, noise, len(c)),
    )
    return design, truth


def loss(model, asked, truth):
    mean, _ = model.predict(asked)
    c, r = ([int(name[1:]) for name in ids.tolist()] for ids in (asked.computation, asked.resource))
    return float(np.abs(mean - truth[c, r]).mean())


def test_interactions_are_found_where_scaling_alone_leaves_them():
    design, truth = table()
    hidden = np.random.default_rng(1).random(len(design)) < 0.3
    seen, asked = design.rows(~hidden), design.rows(hidden)
    scaling, latent = fit_bilinear(seen, 0), fit_bilinear(seen, 2)
    assert loss(latent, asked, truth) < 0.08
    assert loss(scaling, asked, truth) > 3 * loss(latent, asked, truth)


def test_a_new_resource_is_expected_where_its_description_says():
    design, truth = table(rank=0)
    new = design.resource == "r03"
    model = fit_bilinear(design.rows(~new), 0)
    unknown = np.abs(truth[:, 3] - truth[:, [0, 1, 2]].mean(axis=1)).mean()
    assert loss(model, design.rows(new), truth) < 0.6 * unknown


def test_a_few_runs_on_a_new_resource_find_its_interactions():
    design, truth = table()
    new = design.resource == "r03"
    known, fresh = design.rows(~new), design.rows(new)
    model = fit_bilinear(known, 2)
    probes, asked = fresh.rows(np.arange(0, 30, 5)), fresh.rows(np.arange(1, 30, 5))
    warm = model.updated(known.joined(probes), probes)
    assert loss(warm, asked, truth) < 0.6 * loss(model, asked, truth)
    assert loss(warm, asked, truth) < 0.15


def test_a_few_runs_of_a_new_computation_are_the_mirror_image():
    design, truth = table(resources=30, computations=14)
    new = design.computation == "c03"
    known, fresh = design.rows(~new), design.rows(new)
    model = fit_bilinear(known, 2)
    probes, asked = fresh.rows(np.arange(0, 30, 5)), fresh.rows(np.arange(1, 30, 5))
    assert loss(model.updated(known.joined(probes), probes), asked, truth) < 0.6 * loss(model, asked, truth)


def test_an_update_with_both_sides_new_leaves_the_old_model_as_it_was():
    design, _ = table()
    new = (design.resource == "r03") & (design.computation == "c05")
    known = design.rows((design.resource != "r03") & (design.computation != "c05"))
    model = fit_bilinear(known, 2)
    before = model.predict(design)[0]
    warm = model.updated(known.joined(design.rows(new)), design.rows(new))
    np.testing.assert_array_equal(model.predict(design)[0], before)
    assert np.isfinite(warm.predict(design)[0]).all()
    assert "r03" in warm.resources.index
    assert "r03" not in model.resources.index


def test_intervals_widen_from_measured_to_described_to_unknown():
    design, _ = table()
    known = design.rows((design.resource != "r03") & (design.computation != "c05"))
    model = fit_bilinear(known, 2)
    _, sd = model.predict(design)
    old = (design.resource != "r03") & (design.computation != "c05")
    neither = (design.resource == "r03") & (design.computation == "c05")
    assert sd[old].mean() < sd[~old & ~neither].mean()
    mean_u, cov_u, _ = model.computations.look_up(np.array(["c05"]), design.computation_x[neither])
    mean_v, cov_v, _ = model.resources.look_up(np.array(["r03"]), design.resource_x[neither])
    rng = np.random.default_rng(0)
    u = rng.multivariate_normal(mean_u[0], cov_u[0], 40_000)
    v = rng.multivariate_normal(mean_v[0], cov_v[0], 40_000)
    drawn = u[:, 0] + v[:, 0] + (u[:, 1:] * v[:, 1:]).sum(axis=1)
    assert sd[neither][0] == pytest.approx(np.sqrt(drawn.var() + model.noise), rel=0.03)


def test_the_answer_does_not_depend_on_the_order_of_rows():
    design, _ = table()
    shuffled = design.rows(np.random.default_rng(0).permutation(len(design)))
    np.testing.assert_allclose(
        fit_bilinear(design, 2).predict(design)[0], fit_bilinear(shuffled, 2).predict(design)[0], atol=1e-6
    )


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_very_few_rows_are_enough_to_answer(rows):
    design, _ = table(features=False)
    mean, sd = fit_bilinear(design.rows(np.arange(rows)), 0).predict(design)
    assert np.isfinite(mean).all()
    assert (sd > 0).all()


def test_a_regression_keeps_what_helps_and_drops_what_does_not():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 3))
    vectors = np.stack([features @ [1.0, 0.0, -1.0] + rng.normal(0, 0.1, 40), rng.normal(size=40)], axis=1)
    found = regress(features, vectors)
    np.testing.assert_allclose(found.weights[:, 0], [1.0, 0.0, -1.0], atol=0.1)
    np.testing.assert_allclose(found.weights[:, 1], 0.0, atol=0.4)
    assert found.variance[0] < 0.05
    assert 0.5 < found.variance[1] < 2.0
    assert np.isfinite(regress(features[:2], vectors[:2])(features)).all()
