"""Demand counts where it was submitted: measured seconds of what ended, usual seconds of what has not."""

import numpy as np
import pytest

from dnaml.answers.demanded import MOST_FAMILIES, OTHERS, Demanded, largest


def test_open_jobs_count_as_the_usual_of_their_family_and_ended_ones_as_measured():
    demand = Demanded()
    demand.submitted("us", "fit", 0.0)
    demand.worked("us", "fit", 0.0, 10.0)
    demand.ended("us", "fit", 0.0)
    demand.submitted("us", "fit", 20.0)
    now = demand.now(44.0, "us")
    assert (now.first_s, now.width_s, now.bins) == (0.0, 15.0, 3)
    np.testing.assert_allclose(now.seconds["fit"], [10.0, 10.0, 0.0])
    np.testing.assert_allclose(now.jobs["fit"], [1.0, 1.0, 0.0])
    np.testing.assert_allclose(now.closed(), [10.0, 10.0])
    demand.worked("us", "fit", 20.0, 30.0)
    demand.ended("us", "fit", 20.0)
    np.testing.assert_allclose(demand.now(44.0, "us").seconds["fit"], [10.0, 30.0, 0.0])


def test_tenants_see_their_own_and_all_together_is_one_family():
    demand = Demanded()
    for tenant, seconds in (("us", 4.0), ("them", 6.0)):
        demand.submitted(tenant, "fit", 1.0)
        demand.worked(tenant, "fit", 1.0, seconds)
        demand.ended(tenant, "fit", 1.0)
    assert float(demand.now(1.0, "us").total().sum()) == 4.0
    assert list(demand.now(1.0, None).seconds) == ["all"]
    assert float(demand.now(1.0, None).total().sum()) == 10.0
    assert demand.now(1.0, "nobody").bins == 0
    assert demand.now(1.0, "nobody").total().size == 0


def test_the_largest_families_are_told_apart_and_the_others_added_up():
    demand = Demanded()
    for number in range(MOST_FAMILIES + 10):
        demand.submitted("us", f"k{number}", 0.0)
        demand.worked("us", f"k{number}", 0.0, float(number + 1))
        demand.ended("us", f"k{number}", 0.0)
    now = demand.now(0.0, "us")
    assert len(now.seconds) == MOST_FAMILIES + 1
    shown = largest(now, 3)
    assert list(shown)[-1] == OTHERS
    assert len(shown) == 4
    assert sum(float(one.sum()) for one in shown.values()) == pytest.approx(float(now.total().sum()))


def test_a_job_that_never_ran_asks_for_nothing_before_its_family_ran():
    demand = Demanded()
    demand.submitted("us", "new", 0.0)
    assert float(demand.now(0.0, "us").total().sum()) == 0.0
