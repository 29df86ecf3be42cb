"""Plans for deadlines on spot machines: cheap where capacity comes back, and never late."""

import numpy as np
import pytest

from dnaml.core.errors import InputError
from dnaml.schedule.spot import AGES_H, Mode, SpotModel, SpotPlan, SpotTerms, plan_spot, uniform_progress

TERMS = SpotTerms(spot_usd_per_h=0.3, on_demand_usd_per_h=1.0, restart_h=0.25, tick_h=0.25, parts=1, guard_ticks=0)


def model(up_h: float = 2.0, down_h: float = 1.0, cycles: int = 30) -> SpotModel:
    known = SpotModel.new()
    for _ in range(cycles):
        known = known.seen(True, up_h).seen(False, down_h)
    return known.seen(True, 0.25)


def played(plan: SpotPlan, known: SpotModel, there: list[bool], work_h: float, left_h: float) -> tuple[float, float]:
    """Return hours until the end (inf: never) and cost, tick by tick."""
    mode, pending, cost, tick = Mode.NONE, 0.0, 0.0, TERMS.tick_h
    for number, up in enumerate(there):
        known = known.seen(up, tick)
        mode = Mode.NONE if mode is Mode.SPOT and not up else mode
        wanted = plan.mode(known, mode, work_h + (pending if mode is not Mode.NONE else 0), left_h - number * tick)
        pending = TERMS.restart_h if wanted is not mode else pending
        mode = wanted
        if mode is not Mode.NONE:
            cost += tick * (TERMS.spot_usd_per_h if mode is Mode.SPOT else 1.0)
            work_h -= max(0.0, tick - pending)
            pending = max(0.0, pending - tick)
        if work_h <= 1e-9:
            return (number + 1) * tick, cost
    return float("inf"), cost


@pytest.mark.parametrize("seed", range(20))
def test_no_run_of_interruptions_makes_the_work_late(seed):
    rng = np.random.default_rng(seed)
    there = list(rng.random(40) < rng.random())
    known = model()
    plan = plan_spot(known, TERMS, work_h=6.0, left_h=8.0)
    ended_h, _ = played(plan, known, there, 6.0, 8.0)
    assert ended_h <= 8.0


def test_work_runs_on_spot_alone_where_it_is_always_there():
    known = model(up_h=20.0, down_h=0.25)
    plan = plan_spot(known, TERMS, work_h=6.0, left_h=10.0)
    ended_h, cost = played(plan, known, [True] * 40, 6.0, 10.0)
    assert (ended_h, cost) == (6.25, pytest.approx(0.3 * 6.25))


def test_work_waits_for_spot_while_there_is_time_and_pays_when_there_is_none():
    known = model(up_h=6.0, down_h=0.5).seen(False, 0.25)
    plan = plan_spot(known, TERMS, work_h=4.0, left_h=20.0)
    assert plan.mode(known, Mode.NONE, 4.0, 20.0) is Mode.NONE
    assert plan.mode(known, Mode.NONE, 4.0, 4.25) is Mode.ON_DEMAND


def test_a_plan_answers_beyond_what_it_computed():
    known = model()
    plan = plan_spot(known, TERMS, work_h=4.0, left_h=8.0)
    assert plan.mode(known, Mode.NONE, 0.0, 8.0) is Mode.NONE
    assert plan.mode(known, Mode.NONE, 4.0, 9.0) is Mode.SPOT
    assert plan.mode(known.seen(False, 1.0), Mode.NONE, 4.0, 9.0) is Mode.NONE
    assert plan.mode(known, Mode.NONE, 40.0, 7.0) is Mode.ON_DEMAND


def test_hazards_are_learned_by_age():
    hazard = model(up_h=1.0, down_h=10.0, cycles=200).hazard_per_h()
    assert hazard[1, 1] == pytest.approx(2.0, rel=0.15)  # it ends after an hour: in the second bucket
    assert hazard[1, 0] < 0.1
    assert hazard[0, 3] == pytest.approx(0.5, rel=0.15)


def test_old_evidence_fades():
    known = model(up_h=1.0, down_h=1.0, cycles=100)
    later = known.seen(True, 2000.0)
    assert later.hours[0].sum() < 1.0


@pytest.mark.parametrize("tick_h", [1 / 60, 0.25, 1.0])
def test_chances_of_the_next_state_are_chances(tick_h):
    chances = model().transitions(tick_h)
    assert chances.shape == (2 * len(AGES_H), 2 * len(AGES_H))
    np.testing.assert_allclose(chances.sum(axis=1), 1.0)
    assert (chances >= 0).all()


def test_before_the_first_look_nothing_is_there():
    assert SpotModel.new().state() == 0


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="a look must last"):
        SpotModel.new().seen(True, 0.0)
    with pytest.raises(InputError, match="prices"):
        SpotTerms(spot_usd_per_h=-1.0, on_demand_usd_per_h=1.0, restart_h=0.1)
    with pytest.raises(InputError, match="restart_h"):
        SpotTerms(spot_usd_per_h=0.1, on_demand_usd_per_h=1.0, restart_h=-0.1)
    with pytest.raises(InputError, match="work and time"):
        plan_spot(model(), TERMS, work_h=0.0, left_h=1.0)


@pytest.mark.parametrize(
    ("available", "present", "done_h", "expected"),
    [
        (True, Mode.NONE, 0.0, Mode.SPOT),
        (True, Mode.ON_DEMAND, 5.1, Mode.ON_DEMAND),  # kept until it is two restarts ahead
        (True, Mode.ON_DEMAND, 6.0, Mode.SPOT),
        (False, Mode.NONE, 4.0, Mode.ON_DEMAND),  # behind
        (False, Mode.NONE, 6.0, Mode.NONE),
    ],
)
def test_uniform_progress_keeps_up_with_time(available, present, done_h, expected):
    times = {"work_h": 10.0, "past_h": 10.0, "deadline_h": 20.0, "restart_h": 0.25}
    assert uniform_progress(available, present, done_h=done_h, **times) is expected
