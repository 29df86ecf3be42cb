"""How long a running attempt still needs, as its own progress tells."""

import pytest

from dnaml.core.work import Computation
from dnaml.schedule.pacing import paced_s
from tests.schedule.doubles import Desk, StatedPredictor, starts

STEPPED = Computation(id="train", kernel="train", checkpointable=True)


def paced_after(silence_s: float) -> float:
    """Return what an attempt is said to need that was at a hundredth after 0.1 s and silent since."""
    desk = Desk(predictor=StatedPredictor(seconds={"r0": 10.0}))
    desk.up("r0")
    (start,) = starts(desk.submit("a", computation=STEPPED))
    desk.began(start)
    desk.after(0.1)
    desk.progressed(start, 0.01)
    entry = desk.controller.ledger.open["a"]
    left_s = paced_s(entry, entry.live["a.1"], desk.at_s + silence_s)
    assert left_s is not None
    return left_s


def test_what_was_told_within_the_last_two_seconds_is_the_rate_of_then():
    assert paced_after(0.0) == pytest.approx(9.9)
    assert paced_after(1.0) == pytest.approx(8.9)
    assert paced_after(2.0) == pytest.approx(7.9)


def test_a_longer_silence_is_standing_still():
    assert paced_after(3.0) == pytest.approx((0.1 + 1.0) * 99 - 2.0)
