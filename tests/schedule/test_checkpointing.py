"""Intervals against a search, expected times against simulated failures, and the rules of when not to write."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from dnaml.core.errors import InputError
from dnaml.schedule.checkpointing import (
    Hazards,
    best_interval_s,
    best_stretches,
    checkpoint_plan,
    daly_interval_s,
    expected_s,
    stretch_s,
    young_interval_s,
)

HOUR = 3600.0


def hazards(mean_s, write_s=60.0, restore_s=30.0):
    return Hazards(hazard_per_s=1 / mean_s, write_s=write_s, restore_s=restore_s)


def endless(tau, found):
    """Return Daly's expected time a second of work, in units that leave the restore out."""
    mean_s = 1 / found.hazard_per_s
    return mean_s * math.expm1((tau + found.write_s) / mean_s) / tau


def test_the_first_order_interval_is_youngs():
    assert young_interval_s(hazards(4 * HOUR)) == pytest.approx(math.sqrt(2 * 60 * 4 * HOUR))
    assert young_interval_s(hazards(20.0)) == 20.0  # at most the mean time between failures


def test_the_higher_order_interval_is_dalys():
    assert daly_interval_s(hazards(4 * HOUR)) == pytest.approx(1274.8, abs=0.1)
    assert daly_interval_s(hazards(25.0)) == 25.0


@pytest.mark.parametrize("interval", [young_interval_s, daly_interval_s, best_interval_s])
def test_without_failures_nothing_is_written(interval):
    assert interval(Hazards(hazard_per_s=0.0, write_s=5.0)) == math.inf


@given(mean_s=st.floats(1.0, 1e7), write_s=st.floats(0.01, 1e3))
def test_the_best_interval_is_where_a_search_finds_it(mean_s, write_s):
    found = hazards(mean_s, write_s)
    if write_s > 30 * mean_s:
        return
    tau = best_interval_s(found)
    searched = minimize_scalar(
        lambda x: endless(x, found), bounds=(1e-3 * tau, min(mean_s, 1e3 * tau)), method="bounded"
    )
    assert endless(tau, found) <= endless(searched.x, found) * (1 + 1e-9)
    z = tau / mean_s
    assert math.log1p(-z) + z == pytest.approx(-write_s / mean_s, rel=1e-6) or z > 1 - 1e-9


def test_free_writes_have_interval_zero():
    assert best_interval_s(hazards(HOUR, write_s=0.0)) == 0.0


@given(work_s=st.floats(1.0, 2e5), mean_s=st.floats(600.0, 1e6), write_s=st.floats(1.0, 600.0))
def test_no_other_number_of_stretches_takes_less(work_s, mean_s, write_s):
    found = hazards(mean_s, write_s)
    plan = checkpoint_plan(work_s, found)
    if work_s / mean_s < 0.01:
        assert plan.stretches == 1
        return
    searched = expected_s(work_s, np.arange(1, 2 * plan.stretches + 1000), found).min()
    assert plan.expected_s == pytest.approx(searched, rel=1e-9)
    assert plan.expected_s <= plan.without_s


def test_unequal_stretches_take_no_less():
    found, rng = hazards(HOUR), np.random.default_rng(0)
    plan = checkpoint_plan(3 * HOUR, found)
    for _ in range(200):
        parts = rng.dirichlet(np.full(plan.stretches, 50.0)) * 3 * HOUR
        writes = np.append(np.full(plan.stretches - 1, 60.0), 0.0)
        assert stretch_s(parts + writes, found).sum() >= plan.expected_s * (1 - 1e-12)


def simulated_s(plan, work_s, found, rng):
    """Live through failures second by exact second: each failure costs the stretch so far and a restore."""
    now, restoring = 0.0, 0.0
    fails = rng.exponential(1 / found.hazard_per_s)
    writes = plan.stretches - 1
    interval = plan.interval_s or 0.0
    for exposed in [interval + found.write_s] * writes + [work_s - writes * interval]:
        while now + restoring + exposed > fails:
            now, restoring = fails, found.restore_s
            fails = now + rng.exponential(1 / found.hazard_per_s)
        now, restoring = now + restoring + exposed, 0.0
    return now


@pytest.mark.parametrize(
    ("work_h", "mean_h", "write_s"), [(8.0, 4.0, 60.0), (8.0, 1.0, 60.0), (2.0, 3.0, 300.0), (1.0, 50.0, 600.0)]
)
def test_simulated_failures_cost_what_the_formula_says(work_h, mean_h, write_s):
    found = hazards(mean_h * HOUR, write_s)
    plan = checkpoint_plan(work_h * HOUR, found)
    rng = np.random.default_rng(7)
    runs = [simulated_s(plan, work_h * HOUR, found, rng) for _ in range(4000)]
    assert np.mean(runs) == pytest.approx(plan.expected_s, rel=0.03)


def test_short_safe_work_writes_nothing():
    plan = checkpoint_plan(60.0, hazards(10 * HOUR))
    assert plan.interval_s is None
    assert plan.expected_s == plan.without_s
    assert checkpoint_plan(0.0, hazards(HOUR)).expected_s == 0.0


def test_without_failures_work_takes_its_time():
    plan = checkpoint_plan(500.0, Hazards(hazard_per_s=0.0, write_s=1.0))
    assert (plan.interval_s, plan.expected_s) == (None, 500.0)


def test_free_writes_are_made_often_but_not_endlessly():
    plan = checkpoint_plan(2 * HOUR, hazards(HOUR, write_s=0.0, restore_s=0.0))
    assert plan.stretches == 2000
    assert plan.expected_s == pytest.approx(2 * HOUR, rel=1e-3)
    assert checkpoint_plan(1.0, hazards(HOUR, write_s=0.0)).stretches == 1


def test_many_works_are_divided_at_once():
    found = hazards(HOUR)
    works = np.array([1.0, HOUR, 5 * HOUR])
    assert best_stretches(works, found).tolist() == [checkpoint_plan(w, found).stretches for w in works]


def test_work_beyond_hope_takes_forever_and_still_has_a_plan():
    assert checkpoint_plan(1e9, hazards(1.0, write_s=1e4)).expected_s == math.inf


@pytest.mark.parametrize("name", ["hazard_per_s", "write_s", "restore_s"])
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_impossible_hazards_are_refused_by_name(name, value):
    with pytest.raises(InputError, match=name):
        Hazards(**{"hazard_per_s": 1.0, name: value})


@pytest.mark.parametrize("work_s", [-1.0, math.nan])
def test_impossible_work_is_refused(work_s):
    with pytest.raises(InputError, match="work_s"):
        checkpoint_plan(work_s, hazards(HOUR))
