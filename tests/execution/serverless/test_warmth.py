"""What is known of a function's starts, and what it says of the next one."""

import pytest

from dnaml.execution.serverless import Warmth


def test_an_instance_is_warm_for_its_window_and_cold_after_it():
    known = Warmth(window_s=10.0).seen(2.0, cold=True).seen(0.1, cold=False).ended(100.0)
    assert known.start_s(109.0) == pytest.approx(0.1)
    assert known.start_s(111.0) == pytest.approx(2.0)
    assert known.start_s(109.0, calls=2) == pytest.approx(2.0)
    assert known.taken(105.0).instances(105.0) == 0


def test_starts_are_running_means():
    known = Warmth()
    for start_s in (1.0, 3.0):
        known = known.seen(start_s, cold=True)
    assert known.cold_s == pytest.approx(2.0)
    for _ in range(50):
        known = known.seen(5.0, cold=True)
    assert known.cold_s == pytest.approx(5.0, rel=0.01)


def test_the_window_is_learned_from_both_sides():
    known = Warmth(window_s=300.0).seen(1.0, cold=True, idle_s=60.0)
    assert known.window_s == 60.0
    assert known.seen(0.1, cold=False, idle_s=80.0).window_s == 80.0


def test_a_burst_takes_rounds_and_one_start():
    known = Warmth(cold_s=1.0, warm_s=0.1, colds=1, warms=1)
    assert known.burst_s(0.0, 0, 1.0, 4) == 0.0
    assert known.burst_s(0.0, 4, 1.0, 4) == pytest.approx(2.0)
    assert known.burst_s(0.0, 5, 1.0, 4) == pytest.approx(3.1)
