"""The reactive rule orders what waits and no more, and the replayed day is a day of the series."""

import pytest

from benchmarks.ray.coldstart import BINS_A_DAY, DATA, DAYS_BEFORE, Pace, WhenWaiting, series
from dnaml.core.events import Acquire, Release
from dnaml.schedule.scaling import Machine, PoolView, Scaler, ScalingSettings, Template

PACE = Pace(lead_s=4.0)


def rule() -> WhenWaiting:
    inner = Scaler(Template(name="node"), lambda ahead: Silent(), ScalingSettings(levels=(0.5, 0.9)), lambda c: 1.0)
    return WhenWaiting(inner, PACE)


class Silent:
    """A forecaster that never says anything."""

    def learn(self, values) -> None: ...
    def observe(self, value: float) -> None: ...
    def forecast(self) -> None: ...


def waiting(calls: int, *machines: Machine, coming: int = 0) -> PoolView:
    return PoolView(machines=machines, coming=coming, waiting_work_s=calls * PACE.call_s)


def test_a_node_is_ordered_for_each_call_that_waits_beyond_those_that_come():
    (order,) = rule().decide(0.0, waiting(3, coming=1))
    assert isinstance(order, Acquire)
    assert order.count == 2
    assert rule().decide(0.0, waiting(1, coming=1)) == ()


def test_a_node_goes_back_once_it_was_not_needed_for_three_bins():
    reactive, idle = rule(), Machine(id="n0", up_at_s=0.0)
    assert reactive.decide(0.0, waiting(0, idle)) == ()
    assert reactive.decide(3 * PACE.bin_s, waiting(0, idle)) == ()
    (back,) = reactive.decide(3 * PACE.bin_s + 0.1, waiting(0, idle))
    assert isinstance(back, Release)
    assert back.resource_id == "n0"


def test_a_bin_takes_a_share_of_what_a_node_needs_to_come():
    assert (PACE.bin_s, PACE.call_s, PACE.node.startup_s) == (2.0, 2.0, 4.0)


@pytest.mark.skipif(not DATA.is_dir(), reason="no demand series here")
def test_the_day_that_is_replayed_follows_the_days_that_are_known():
    calls, before = series()
    assert (len(calls), len(before)) == (BINS_A_DAY, DAYS_BEFORE * BINS_A_DAY)
    assert max(calls) > 2 * min(calls)
