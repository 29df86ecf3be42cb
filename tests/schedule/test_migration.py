"""Work moves when that pays, surely enough and not too often; a warning is a hazard like any other."""

import numpy as np
import pytest

from dnaml.schedule.checkpointing import Hazards, checkpoint_plan
from dnaml.schedule.migration import Side, Verdict, costs, judge

SAFE = Hazards(hazard_per_s=0.0)


def side(mean_s, *, spread=0.0, **more):
    times = mean_s * (1 + spread * np.linspace(-1, 1, 33))
    return Side(**{"remaining_s": times, "hazards": SAFE} | more)


def test_a_clear_gain_moves_the_work():
    found = judge(side(1000.0), side(600.0, overhead_s=100.0), usd_per_s=1.0)
    assert found.verdict is Verdict.MOVE
    assert (found.stay, found.move, found.probability) == (1000.0, 700.0, 1.0)


def test_a_small_gain_does_not():
    assert judge(side(1000.0), side(850.0, overhead_s=60.0), usd_per_s=1.0).verdict is Verdict.NO_GAIN


def test_an_unsure_gain_does_not():
    found = judge(side(1000.0, spread=0.9), side(800.0, spread=0.9), usd_per_s=1.0)
    assert found.verdict is Verdict.UNSURE
    assert 0.5 < found.probability < 0.8


def test_moved_work_rests_unless_it_is_warned():
    stay, move = side(1000.0), side(500.0)
    assert judge(stay, move, usd_per_s=1.0, since_last_s=599.0).verdict is Verdict.TOO_SOON
    assert judge(stay, move, usd_per_s=1.0, since_last_s=599.0, warned=True).verdict is Verdict.MOVE
    assert judge(stay, move, usd_per_s=1.0, since_last_s=600.0).verdict is Verdict.MOVE


def test_a_raised_hazard_makes_the_same_move_worth_while():
    move = side(1000.0, overhead_s=120.0, hazards=Hazards(hazard_per_s=1e-6, write_s=30.0))
    calm = side(1000.0, hazards=Hazards(hazard_per_s=1e-6, write_s=30.0))
    warned = side(1000.0, hazards=Hazards(hazard_per_s=1 / 300, write_s=30.0))
    assert judge(calm, move, usd_per_s=1.0).verdict is Verdict.NO_GAIN
    assert judge(warned, move, usd_per_s=1.0, warned=True).verdict is Verdict.MOVE


def test_hysteresis_keeps_work_from_going_to_and_fro():
    here, there = side(1000.0), side(950.0)
    assert judge(here, there, usd_per_s=1.0).verdict is not Verdict.MOVE
    assert judge(there, here, usd_per_s=1.0).verdict is not Verdict.MOVE


def test_price_alone_decides_where_time_is_worth_nothing():
    cheap = side(2000.0, price_usd_per_s=0.001)
    dear = side(1000.0, price_usd_per_s=0.01)
    assert judge(dear, cheap, usd_per_s=0.0).verdict is Verdict.MOVE
    assert judge(dear, cheap, usd_per_s=1.0).verdict is Verdict.NO_GAIN


def test_work_about_to_end_stays():
    assert judge(side(0.0), side(10.0), usd_per_s=1.0).verdict is Verdict.NO_GAIN


def test_costs_hold_the_expected_losses():
    hazards = Hazards(hazard_per_s=1 / 900, write_s=20.0, restore_s=5.0)
    (cost,) = costs(Side(remaining_s=np.array([3600.0]), hazards=hazards, overhead_s=7.0, price_usd_per_s=0.5), 1.5)
    assert cost == pytest.approx(2.0 * (7.0 + checkpoint_plan(3600.0, hazards).expected_s))
