"""Spending adds up by the tariff of each resource, over time and by resource."""

import pytest

from dnaml.answers.spending import MOST_KEPT, Spending, costs
from dnaml.core.resource import Resource

CHEAP = Resource(id="cheap", price_usd_per_h=3.6)
DEAR = Resource(id="dear", price_usd_per_h=36.0, spec={"billing_quantum_s": 60.0})
FREE = Resource(id="free")


def test_a_run_costs_what_a_prediction_would_have_said():
    assert costs([(0.0, CHEAP, 10.0), (0.0, DEAR, 61.0), (0.0, FREE, 5.0)]) == [
        pytest.approx(0.01),
        pytest.approx(1.2),  # two whole minutes
        None,
    ]
    assert costs([]) == []


def test_sums_are_told_by_resource_and_over_time():
    spending = Spending()
    spending.used(100.0, CHEAP, 10.0)
    spending.used(101.0, DEAR, 60.0)
    spending.used(500.0, CHEAP, 20.0)
    spending.used(500.0, FREE, 7.0)
    now = spending.now()
    assert now.usd == pytest.approx(0.63)
    assert (now.attempts, now.priced) == (4, 3)
    assert [(one.name, one.attempts, one.priced) for one in now.resources] == [
        ("dear", 1, 1),
        ("cheap", 2, 2),
        ("free", 1, 0),
    ]
    assert sum(sum(one.amounts.values()) for one in now.bins) == pytest.approx(now.usd)
    assert spending.now() == now


def test_many_runs_are_worked_out_together_and_nothing_is_lost():
    spending = Spending()
    for number in range(2 * MOST_KEPT + 3):
        spending.used(float(number), CHEAP, 1.0)
    now = spending.now()
    assert now.attempts == 2 * MOST_KEPT + 3
    assert now.usd == pytest.approx((2 * MOST_KEPT + 3) * 0.001)
    assert len(now.bins) <= 120


def test_nothing_spent_is_nothing():
    assert Spending().now().usd == 0
