"""Power: what runs drew, what ratings suggest, and the energy that follows."""

import math

import numpy as np
import pytest

from dnaml.core.errors import InputError
from dnaml.core.prediction import LEVELS
from dnaml.predict.outcomes import lognormal_quantiles
from dnaml.predict.power import (
    COMPUTATION_SD,
    LEVEL_SD,
    NOISE_SD,
    RATED_SHARE,
    RESOURCE_SD,
    UNRATED_W,
    Power,
    energy_j,
)

P50 = LEVELS.index(0.5)


def text(*names):
    return np.array(names, dtype=np.str_)


def runs(seed=0, resources=6, computations=8, rows=60, noise=0.1):
    rng = np.random.default_rng(seed)
    rated = rng.uniform(50, 400, resources)
    b, d = rng.normal(0, 0.3, resources), rng.normal(0, 0.3, computations)
    r, c = rng.integers(0, resources, rows), rng.integers(0, computations, rows)
    watts = rated[r] * 0.5 * np.exp(b[r] + d[c] + rng.normal(0, noise, rows))
    names = text(*(f"r{n}" for n in r)), text(*(f"c{n}" for n in c))
    return (*names, watts, rated[r]), (r, c, rated, b, d)


def test_before_any_run_a_machine_draws_a_share_of_its_rating():
    mean, sd = Power().log_watts(text("a", "b"), text("f", "f"), np.array([200.0, math.nan]))
    np.testing.assert_allclose(np.exp(mean), [RATED_SHARE * 200.0, UNRATED_W])
    assert sd[0] < sd[1]
    assert sd[0] == pytest.approx(math.sqrt(LEVEL_SD**2 + RESOURCE_SD**2 + COMPUTATION_SD**2 + NOISE_SD**2))


def test_the_posterior_mean_is_that_of_the_joint_gaussian():
    table, _ = runs()
    power = Power().updated(*table)
    names_r, names_c = sorted(power.resources), sorted(power.computations)
    y = np.log(table[2]) - np.log(table[3] * RATED_SHARE)
    design = np.zeros((len(y), 1 + len(names_r) + len(names_c)))
    design[:, 0] = 1.0
    design[np.arange(len(y)), [1 + names_r.index(n) for n in table[0].tolist()]] = 1.0
    design[np.arange(len(y)), [1 + len(names_r) + names_c.index(n) for n in table[1].tolist()]] = 1.0
    prior = np.diag([LEVEL_SD**-2, *[RESOURCE_SD**-2] * len(names_r), *[COMPUTATION_SD**-2] * len(names_c)])
    exact = np.linalg.solve(design.T @ design / power.noise + prior, design.T @ y / power.noise)
    found = [power.level[0], *(power.resources[n][0] for n in names_r), *(power.computations[n][0] for n in names_c)]
    np.testing.assert_allclose(found, exact, atol=1e-6)


def test_pairs_that_never_ran_are_predicted_and_intervals_hold():
    inside, errors = [], []
    for seed in range(20):
        table, (r, c, rated, b, d) = runs(seed)
        power, rng = Power().updated(*table), np.random.default_rng(seed + 100)
        ran = set(zip(r.tolist(), c.tolist(), strict=True))
        missing = [(i, j) for i in range(6) for j in range(8) if (i, j) not in ran]
        asked = text(*(f"r{i}" for i, _ in missing)), text(*(f"c{j}" for _, j in missing))
        mean, sd = power.log_watts(*asked, np.array([rated[i] for i, _ in missing]))
        truth = np.array([math.log(rated[i] * 0.5) + b[i] + d[j] for i, j in missing])
        truth = truth + rng.normal(0, 0.1, len(truth))
        errors.extend(np.abs(mean - truth).tolist())
        inside.extend((np.abs(mean - truth) <= 1.2815516 * sd).tolist())
    assert np.median(errors) < 0.12
    assert 0.7 < np.mean(inside) < 0.99


def test_updates_in_parts_or_in_another_order_come_to_the_same():
    table, _ = runs()
    whole = Power().updated(*table)
    parts = Power().updated(*(column[:25] for column in table)).updated(*(column[25:] for column in table))
    order = np.random.default_rng(1).permutation(60)
    shuffled = Power().updated(*(column[order] for column in table))
    asked = text("r0", "r1", "new"), text("c0", "new", "new"), np.array([100.0, 100.0, math.nan])
    for other in (parts, shuffled):
        for one, two in zip(whole.log_watts(*asked), other.log_watts(*asked), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-9)
    assert Power().log_watts(*asked)[1][2] > whole.log_watts(*asked)[1][2]


@pytest.mark.parametrize("watts", [math.nan, math.inf, 0.0, -5.0, 1e300])
def test_watts_that_cannot_be_true_are_left_out(watts):
    power = Power().updated(text("a"), text("f"), np.array([watts]), np.array([100.0]))
    assert power.resources == {}
    mean, sd = power.log_watts(text("a"), text("f"), np.array([watts]))
    assert np.isfinite(mean).all()
    assert np.isfinite(sd).all()


def test_each_row_s_answer_depends_on_that_row_alone():
    table, _ = runs()
    power = Power().updated(*table)
    mean, sd = power.log_watts(*(column[:10] for column in (table[0], table[1], table[3])))
    for row in range(10):
        one = power.log_watts(table[0][[row]], table[1][[row]], table[3][[row]])
        assert (one[0][0], one[1][0]) == (mean[row], sd[row])
    none = power.log_watts(text(), text(), np.zeros(0))
    assert none[0].shape == none[1].shape == (0,)


def test_energy_is_power_times_time_and_their_doubts_add_in_quadrature():
    runtime_s = lognormal_quantiles(np.array([3.0, 0.0]), np.array([0.3, 0.0]))
    joules = energy_j(runtime_s, np.array([2.0, 1.0]), np.array([0.4, 0.2]))
    expected = lognormal_quantiles(np.array([5.0, 1.0]), np.array([0.5, 0.2]))
    np.testing.assert_allclose(joules, expected, rtol=1e-6)
    assert (np.diff(joules, axis=-1) > 0).all()
    sure = energy_j(runtime_s, np.zeros(2), np.zeros(2))
    np.testing.assert_allclose(sure, runtime_s)
    assert sure[0, P50] == pytest.approx(math.exp(3.0))


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(InputError, match="power: columns must be equally long, got 2, 1, 1"):
        Power().updated(text("a", "b"), text("f"), np.ones(1), np.ones(1))
