"""Forecasts are made as the bins came, and the scaler that would run a pool says what it would do."""

import math

import numpy as np

from dnaml.answers.demanded import DemandNow
from dnaml.answers.scaling_advice import FEWEST_BINS, SHOWN, Pool, advised, ahead_of, expected, template_of
from dnaml.core.resource import Resource

CHEAP = Resource(id="cheap", slots=4, price_usd_per_h=2.0, startup_s=30.0)
DEAR = Resource(id="dear", slots=1, price_usd_per_h=1.0)


def demand(series, width_s=60.0):
    seconds = np.array([*series, 0.0], dtype=np.float64)  # the last bin is still filling
    return DemandNow(first_s=0.0, width_s=width_s, seconds={"fit": seconds}, jobs={"fit": np.ones(len(seconds))})


def test_what_is_said_of_a_bin_was_said_before_it_came():
    rng = np.random.default_rng(0)
    seconds = rng.gamma(4.0, 10.0, size=80)
    whole, part = expected(seconds, 2, 60.0), expected(seconds[:50], 2, 60.0)
    np.testing.assert_array_equal(whole.said[:52], part.said)
    assert whole.said.shape == (82, len(SHOWN))
    assert np.isnan(whole.said[:2]).all()
    assert np.isfinite(whole.said[-2:]).all()
    assert whole.judged >= 60
    assert 0.55 <= whole.inside <= 1.0


def test_too_little_demand_has_no_forecast():
    said = expected(np.ones(2), 3, 60.0)
    assert np.isnan(said.said).all()
    assert math.isnan(said.inside)
    assert said.judged == 0


def test_the_cheapest_slot_is_what_would_be_bought():
    found = template_of([DEAR, CHEAP, Resource(id="unpriced")])
    assert found is not None
    assert (found[0].name, found[0].price_usd_per_h, found[0].lead_s) == ("cheap", 0.5, 30.0)
    assert template_of([]) is None
    assert ahead_of([CHEAP], 60.0) == 2
    assert ahead_of([], 60.0) == 3


def test_rising_demand_asks_for_slots_and_says_why():
    advice = advised(demand([600.0] * 40), Pool(resources=[CHEAP], busy=4), 40 * 60.0 + 1.0)
    assert advice is not None
    assert advice.change > 0
    assert advice.target >= 10
    assert advice.slots + advice.change == advice.target
    assert "forecast" in advice.reason
    assert advice.price_usd_per_h == 0.5


def test_idle_slots_would_be_given_back():
    advice = advised(demand([30.0] * 40), Pool(resources=[CHEAP], busy=0), 40 * 60.0 + 1.0)
    assert advice is not None
    assert advice.change == advice.target - 4 < 0
    assert "enough" in advice.reason


def test_work_that_waits_too_long_is_a_reason_of_its_own():
    pool = Pool(resources=[CHEAP], busy=4, waiting=50, waited_s=900.0)
    advice = advised(demand([30.0] * 40), pool, 40 * 60.0 + 1.0)
    assert advice is not None
    assert advice.change > 0
    assert "waits 900 s" in advice.reason


def test_without_resources_or_demand_nothing_is_advised():
    assert advised(demand([1.0] * FEWEST_BINS), Pool(resources=[]), 1e4) is None
    assert advised(demand([1.0]), Pool(resources=[CHEAP]), 1e4) is None
