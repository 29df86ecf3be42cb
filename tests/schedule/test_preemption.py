"""Priorities: a waiting job of higher priority gets in where one of lower priority can save, stop and go on later."""

from dnaml.core.attempt import AttemptState, JobState
from dnaml.core.events import StartAttempt
from dnaml.core.work import Computation, Constraints
from tests.schedule.doubles import Desk, StatedPredictor, ends, seals, starts, stops, where

STEPPED = Computation(id="train", kernel="train", checkpointable=True)
STOPPED, LOST = AttemptState.STOPPED, AttemptState.LOST


def low_job(what: Computation | None = STEPPED, **settings: object) -> tuple[Desk, StartAttempt]:
    """Return a desk whose only resource runs a job of priority 0 for 100 s, of which 10 have gone by."""
    desk = Desk(predictor=StatedPredictor(seconds={"r0": 100.0}), **settings)
    desk.up("r0")
    (low,) = starts(desk.submit("low", computation=what))
    desk.began(low)
    desk.after(10.0)
    return desk, low


def test_a_job_of_higher_priority_gets_in_once_the_other_has_saved_and_stopped():
    desk, low = low_job()
    assert starts(desk.submit("high", priority=1)) == []
    assert seals(desk.tick(1.0)) == ["low.1"]
    assert seals(desk.tick(1.0)) == []
    assert stops(desk.sealed(low, 0.1)) == ["low.1"]
    (high,) = starts(desk.ended(low, STOPPED, "made room"))
    assert high.job.id == "high"
    (again,) = starts(desk.done(high))
    assert (again.attempt.id, again.attempt.progress) == ("low.2", 0.1)
    assert desk.controller.ledger.open["low"].failures == 0


def test_without_a_fresh_checkpoint_it_stops_after_so_many_ticks():
    desk, _ = low_job(seal_ticks=3)
    desk.submit("high", priority=1)
    assert [stops(desk.tick(1.0)) for _ in range(4)] == [[], [], [], ["low.1"]]


def test_equal_priorities_work_that_cannot_be_saved_and_a_setting_interrupt_nothing():
    for what, priority, settings in (
        (STEPPED, 0, {}),
        (Computation(id="sort", kernel="sort"), 1, {}),
        (STEPPED, 1, {"preempts": False}),
    ):
        desk, _ = low_job(what, **settings)
        desk.submit("high", priority=priority)
        assert desk.tick(1.0) == []


def test_a_job_is_interrupted_only_so_often():
    desk, low = low_job(most_preemptions=2)
    for turn in range(3):
        desk.submit(f"high{turn}", priority=1)
        said = desk.tick(1.0)
        if turn == 2:
            assert seals(said) == []
            break
        assert seals(said) == [low.attempt.id]
        desk.sealed(low, 0.2)
        (high,) = starts(desk.ended(low, STOPPED))
        (low,) = starts(desk.done(high))
        desk.began(low)


def test_a_slot_that_is_free_soon_is_waited_for():
    desk, _ = low_job()
    desk.after(89.0).submit("high", priority=1)
    assert seals(desk.tick(0.0)) == []


def test_only_a_place_that_suits_the_waiting_job_is_cleared_and_the_least_urgent_goes():
    desk = Desk(predictor=StatedPredictor(seconds={"r0": 100.0, "r1": 100.0, "r2": 100.0}))
    desk.up("r0", "r1", "r2")
    running = [
        *starts(desk.submit("p2", computation=STEPPED, priority=2, constraints=Constraints(resource_ids=("r0",)))),
        *starts(desk.submit("p1", computation=STEPPED, priority=1, constraints=Constraints(resource_ids=("r1",)))),
        *starts(desk.submit("p0", computation=STEPPED, priority=0, constraints=Constraints(resource_ids=("r2",)))),
    ]
    desk.began(*running)
    desk.submit("high", priority=5, constraints=Constraints(resource_ids=("r0", "r1")))
    assert seals(desk.tick(1.0)) == ["p1.1"]
    desk.submit("other", priority=1, constraints=Constraints(resource_ids=("r0",)))
    assert seals(desk.tick(1.0)) == []


def test_each_waiting_job_is_given_one_place():
    desk = Desk(predictor=StatedPredictor(seconds={"r0": 100.0}))
    desk.up("r0", slots=3)
    running = starts(desk.submit("a", "b", "c", computation=STEPPED))
    desk.began(*running)
    desk.submit("high1", "high2", priority=1)
    assert sorted(seals(desk.tick(1.0))) == ["b.1", "c.1"]
    assert seals(desk.tick(1.0)) == []
    desk.sealed(running[1], 0.1)
    assert where(desk.ended(running[1], STOPPED)) == [("high1.1", "r0")]


def test_what_makes_room_may_still_end_be_cancelled_or_be_lost():
    for outcome in ("done", "lost", "cancelled"):
        desk, low = low_job()
        desk.submit("high", priority=1)
        desk.tick(1.0)
        if outcome == "done":
            assert ends(desk.done(low)) == [("low", JobState.SUCCEEDED)]
        elif outcome == "lost":
            assert where(desk.ended(low, LOST, "gone")) == [("high.1", "r0")]
        else:
            desk.cancel("low", running=True)
            assert seals(desk.tick(1.0)) == []
            assert ends(desk.ended(low, STOPPED)) == [("low", JobState.CANCELLED)]
        assert desk.tick(9.0) == []


def test_a_copy_that_waits_beside_a_running_one_interrupts_nothing():
    desk = Desk(predictor=StatedPredictor(seconds={"r0": 100.0, "r1": 100.0}))
    desk.up("r0", "r1")
    (low,) = starts(desk.submit("low", computation=STEPPED))
    desk.began(low)
    (copy,) = starts(desk.submit("high", priority=1, replicas=2))
    desk.began(copy)
    assert seals(desk.tick(1.0)) == []
