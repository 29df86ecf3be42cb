"""How often attempts save: what the user says, else what saving costs and how often the resource fails."""

import math

import pytest

from dnaml.core.attempt import AttemptState
from dnaml.core.work import Computation
from dnaml.schedule.checkpointing import Hazards, best_interval_s
from tests.schedule.doubles import Desk, StatedPredictor, starts

STEPPED = Computation(id="train", kernel="train", checkpointable=True)


def interval_after(write_s: float | None, hazard_per_h: float, **wanted: object) -> float | None:
    """Return the interval of a computation's second attempt, after one write of so many seconds was seen."""
    desk = Desk(predictor=StatedPredictor(seconds={"r0": 1e4, "r1": 1e4}, hazard_per_h=hazard_per_h))
    desk.up("r0", "r1")
    (first,) = starts(desk.submit("a", computation=STEPPED, **wanted))
    desk.began(first)
    if write_s is not None:
        desk.sealed(first, 0.1, write_s)
    (second,) = starts(desk.ended(first, AttemptState.LOST, "gone"))
    return second.attempt.placement.checkpoint_every_s


def test_before_anything_is_measured_the_interval_is_a_bounded_default():
    assert interval_after(None, 1.0) == 2.0


def test_the_interval_follows_from_the_measured_write_and_the_predicted_hazard():
    every_s = interval_after(0.5, 60.0)
    assert every_s is not None
    assert every_s == pytest.approx(max(0.5 / 0.03, best_interval_s(Hazards(hazard_per_s=1 / 60, write_s=0.5))))
    assert interval_after(0.05, 60.0) == pytest.approx(math.sqrt(2 * 0.05 * 60), rel=0.05)
    assert interval_after(0.05, 6.0) == pytest.approx(math.sqrt(2 * 0.05 * 600), rel=0.05)


def test_the_interval_is_bounded_on_both_sides():
    assert interval_after(0.5, 0.0) == 300.0
    assert interval_after(30.0, 3600.0) == 1000.0
    assert interval_after(0.5, math.nan) == 300.0


def test_what_the_user_asked_for_is_kept():
    assert interval_after(0.5, 60.0, checkpoint_every_s=7.0) == 7.0
    assert interval_after(0.5, 60.0, checkpoint=False) is None


def test_the_newest_measurement_counts_half_and_other_computations_are_not_touched():
    desk = Desk(predictor=StatedPredictor(hazard_per_h=3600.0))
    desk.up("r0", slots=3)
    (first,) = starts(desk.submit("a", computation=STEPPED))
    desk.began(first)
    desk.sealed(first, 0.1, 1.0)
    desk.sealed(first, 0.2, 2.0)
    (same,) = starts(desk.submit("b", computation=STEPPED))
    assert same.attempt.placement.checkpoint_every_s == pytest.approx(1.5 / 0.03)
    (other,) = starts(desk.submit("c", computation=Computation(id="other", kernel="train", checkpointable=True)))
    assert other.attempt.placement.checkpoint_every_s == 2.0
