"""Hazard: rates with priors by family, ages of spot machines, and the probability of a loss."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from dnaml.core.errors import InputError
from dnaml.core.protocols import Run
from dnaml.core.types import Computation, Kind, Resource, Site
from dnaml.predict.hazard import AGE_EDGES_H, AGE_TIMES, SPOT_TIMES, AgeCurve, Hazard, fail_share, family, is_spot

WORK = Computation(id="f", kernel="f")


def spot(name):
    return Resource(id=name, site=Site.CLOUD, labels={"use_spot": "true"})


def plain(name):
    return Resource(id=name, site=Site.CLOUD)


def ran(resource, hours, lost=False):
    return Run(computation=WORK, resource=resource, runtime_s=3600.0 * hours, at_s=0.0, failed=lost, censored=lost)


def rate(hazard, resource, **more):
    return float(hazard.rates_per_h([resource], **more)[0])


def test_a_family_is_named_by_place_kind_and_spot():
    assert family(Resource(id="a")) == "local/cpu"
    assert family(Resource(id="b", site=Site.CLOUD, kind=Kind.GPU, labels={"use_spot": "true"})) == "cloud/gpu/spot"
    assert is_spot(spot("a"))
    assert not is_spot(plain("a"))


def test_before_any_run_spot_is_lost_more_often_and_errors_raise_the_rate():
    hazard = Hazard()
    assert rate(hazard, plain("a")) == pytest.approx(0.02)
    assert rate(hazard, spot("a")) == pytest.approx(SPOT_TIMES * 0.02)
    assert rate(hazard, Resource(id="f", site=Site.SERVERLESS)) < 0.02
    rates = hazard.rates_per_h([plain("a")] * 3, np.array([0.0, 0.5, math.nan]))
    np.testing.assert_allclose(rates, [0.02, 0.11, 0.02])


def test_a_resource_s_own_losses_are_counted_as_gamma_and_poisson_say():
    hazard = Hazard().updated([ran(plain("a"), 3.0)])
    assert rate(hazard, plain("a")) == pytest.approx(0.02 / 4)
    hazard = hazard.updated([ran(plain("a"), 0.0, lost=True), ran(plain("a"), 1.0, lost=True)])
    assert rate(hazard, plain("a")) == pytest.approx(2.02 / 5)
    assert hazard.per_h("a") == pytest.approx(2.02 / 5)
    assert hazard.per_h("never seen") == pytest.approx(0.02)


def test_a_new_resource_is_expected_to_be_lost_like_others_of_its_family():
    steady = Hazard().updated([ran(spot(f"s{n}"), 1000.0) for n in range(10)])
    shaky = Hazard().updated([ran(spot(f"s{n}"), 10.0, lost=True) for n in range(50)])
    assert rate(steady, spot("new")) < 0.01
    assert rate(shaky, spot("new")) == pytest.approx(0.1, rel=0.1)
    assert rate(shaky, plain("new")) == pytest.approx(0.02)
    again = shaky.updated([ran(spot("s0"), 0.1, lost=True)])
    assert rate(again, spot("s0")) > 1.5 * rate(again, spot("new"))


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_rates_come_right_with_use_and_depend_on_no_order(seed):
    rng = np.random.default_rng(seed)
    runs = [ran(spot("s"), float(h), lost=True) for h in rng.exponential(20.0, 300)]
    hazard = Hazard().updated(runs)
    assert rate(hazard, spot("s")) == pytest.approx(1 / 20, rel=0.3)
    other = Hazard().updated(runs[::-1])
    assert rate(other, spot("s")) == pytest.approx(rate(hazard, spot("s")))
    both = hazard.rates_per_h([spot("s"), plain("p")])
    assert both[0] == rate(hazard, spot("s"))


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf])
def test_a_runtime_that_cannot_be_true_adds_no_hours(seconds):
    run = Run(computation=WORK, resource=plain("a"), runtime_s=seconds, at_s=0.0)
    assert Hazard().updated([run]).hours["a"] == 0.0


def test_stopped_runs_and_a_work_s_own_failures_are_no_losses():
    stopped = Run(computation=WORK, resource=plain("a"), runtime_s=3600.0, at_s=0.0, censored=True)
    own = Run(computation=WORK, resource=plain("a"), runtime_s=3600.0, at_s=0.0, failed=True)
    assert Hazard().updated([stopped, own]).losses == {}


@given(rate_per_h=st.floats(0, 100), seconds=st.floats(0, 1e7))
@settings(max_examples=50, deadline=None)
def test_the_probability_of_a_loss_is_one_less_the_chance_of_none(rate_per_h, seconds):
    found = float(fail_share(np.array(rate_per_h), np.array(seconds)))
    assert found == pytest.approx(1 - math.exp(-rate_per_h * seconds / 3600), abs=1e-12)
    assert 0 <= found <= 1


@pytest.mark.parametrize("from_h", [0.0, 2.5, 22.0, 40.0])
def test_the_probability_on_spot_integrates_the_rate_over_age(from_h):
    def multiplier(age):
        return AGE_TIMES[int(np.searchsorted(AGE_EDGES_H, age, side="right")) - 1]

    edges = [edge for edge in AGE_EDGES_H if from_h < edge < from_h + 6]
    integral, _ = quad(multiplier, from_h, from_h + 6, points=edges or None)
    found = float(fail_share(np.array(0.05), np.array(6 * 3600.0), curve=AgeCurve(), from_h=from_h))
    assert found == pytest.approx(1 - math.exp(-0.05 * integral))


def test_longer_runs_and_higher_rates_are_lost_more_often():
    shares = fail_share(np.array([[0.01], [0.1]]), np.array([[60.0, 3600.0, 1e6]]), curve=AgeCurve(), from_h=1.0)
    assert shares.shape == (2, 3)
    assert (np.diff(shares, axis=1) > 0).all()
    assert (np.diff(shares, axis=0) > 0).all()


def test_the_shape_of_preemptions_is_learned_from_ages():
    rng, curve = np.random.default_rng(0), AgeCurve()
    assert curve.times == pytest.approx(AGE_TIMES)
    for _ in range(400):  # taken back within the first hour or else at 23 hours
        life_h = float(rng.uniform(0, 1) if rng.random() < 0.5 else rng.uniform(22, 24))
        curve = curve.updated(from_h=0.0, hours=life_h, rate_per_h=1 / 12, lost=True)
    early, young, middle, late, _ = curve.times
    assert early > 3
    assert late > 3
    assert max(young, middle) < 0.3
    quiet = fail_share(np.array(1 / 12), np.array(3600.0), curve=curve, from_h=5.0)
    assert quiet < 0.2 * fail_share(np.array(1 / 12), np.array(3600.0), curve=curve, from_h=0.0)


def test_a_stretch_of_use_that_cannot_be_is_refused():
    for wrong in ({"from_h": -1.0}, {"hours": math.nan}, {"rate_per_h": math.inf}):
        with pytest.raises(InputError, match="age curve: must be finite and not negative"):
            AgeCurve().updated(**{"from_h": 0.0, "hours": 1.0, "rate_per_h": 0.1, "lost": False, **wrong})
