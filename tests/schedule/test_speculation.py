"""Stragglers: progress corrects what is predicted, and one that falls behind gets one copy where that pays."""

import pytest

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, JobState
from dnaml.core.events import StartAttempt
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Constraints
from dnaml.engine import run
from dnaml.execution.simulated import SimulatedBackend
from dnaml.schedule.controller import Controller
from dnaml.schedule.matching import MatchingPolicy
from dnaml.schedule.planning import ControllerSettings
from tests.schedule.doubles import LATENCY, Desk, StatedPredictor, ends, job, progressed, seals, starts, stops, where

SORT = Computation(id="sort", kernel="sort")
STEPPED = Computation(id="train", kernel="train", checkpointable=True)
LOST, STOPPED = AttemptState.LOST, AttemptState.STOPPED
NAMES = ("r0", "r1", "r2", "r3")


def slow_one(what: Computation = SORT, **settings: object) -> tuple[Desk, StartAttempt]:
    """Return a desk on which four jobs of 10 s ran, three of which are done after 10 s and one is at a fifth."""
    desk = Desk(predictor=StatedPredictor(seconds=dict.fromkeys(NAMES, 10.0), spread=1.2), **settings)
    desk.up(*NAMES)
    running = starts(desk.submit("a", "b", "c", "d", computation=what))
    desk.began(*running)
    desk.after(10.0).done(*running[1:])
    desk.controller._dispatch.worked_s += 27.0  # a done attempt of these tests says that it took one second, not ten
    desk.progressed(running[0], 0.2, 2.0)
    return desk, running[0]


def test_a_straggler_gets_one_copy_elsewhere_and_the_first_result_wins():
    desk, straggler = slow_one()
    (copy,) = starts(desk.tick())
    assert copy.attempt.id == "a.2"
    assert copy.attempt.placement.resource_id != straggler.attempt.placement.resource_id
    assert copy.decision.policy == "matching/copy"
    desk.began(copy)
    assert [starts(desk.tick(1.0)) for _ in range(9)] == [[]] * 9
    said = desk.done(copy)
    assert (ends(said), stops(said)) == ([("a", JobState.SUCCEEDED)], ["a.1"])
    assert ends(desk.ended(straggler, STOPPED)) == []


def test_a_straggler_that_is_first_after_all_commits_and_its_copy_stops():
    desk, straggler = slow_one()
    (copy,) = starts(desk.tick())
    desk.began(copy)
    assert stops(desk.done(straggler)) == ["a.2"]
    assert ends(desk.done(copy)) == []


def test_the_loss_of_a_copy_or_of_the_straggler_leaves_the_other():
    for first in (0, 1):
        desk, straggler = slow_one()
        (copy,) = starts(desk.tick())
        desk.began(copy)
        pair = [straggler, copy]
        desk.ended(pair.pop(first), LOST, "gone")
        assert ends(desk.done(*pair)) == [("a", JobState.SUCCEEDED)]


def test_a_straggler_that_can_be_saved_moves_instead():
    desk, straggler = slow_one(STEPPED)
    said = desk.tick()
    assert (seals(said), starts(said)) == (["a.1"], [])
    (target,) = starts(desk.sealed(straggler, 0.2))
    desk.began(target)
    assert stops(desk.progressed(target, 0.3)) == ["a.1"]


def test_an_attempt_in_its_predicted_interval_is_left_alone():
    desk, straggler = slow_one()
    desk.progressed(straggler, 0.95, 9.0)
    assert desk.tick() == []


def test_no_copy_takes_a_place_that_waiting_jobs_could_have():
    desk, _ = slow_one()
    desk.submit(*(f"w{i}" for i in range(9)), computation=SORT)
    assert [start.attempt.id for start in starts(desk.tick(1.0)) if start.job.id == "a"] == []


def test_no_copy_goes_where_there_is_no_idle_place():
    desk, _ = slow_one()
    begun = starts(desk.submit("x", "y", "z", computation=SORT))
    desk.began(*begun)
    assert starts(desk.tick(1.0)) == []
    desk.done(begun[0])
    assert len(starts(desk.tick(30.0))) == 1


def test_a_straggler_that_may_run_nowhere_else_or_is_being_stopped_gets_no_copy():
    desk = Desk(predictor=StatedPredictor(seconds={"r0": 10.0}))
    desk.up("r0", "r1")
    (only, other) = (
        *starts(desk.submit("a", constraints=Constraints(resource_ids=("r0",)))),
        *starts(desk.submit("b", constraints=Constraints(resource_ids=("r1",)))),
    )
    desk.began(only, other)
    desk.cancel("b", running=True)
    assert starts(desk.tick(100.0)) == []


def test_a_lost_resource_is_no_place_to_compare_with():
    desk, straggler = slow_one()
    desk.down(straggler.attempt.placement.resource_id)
    assert starts(desk.tick()) == []


def test_what_a_copy_may_add_to_the_work_is_bounded():
    desk, straggler = slow_one(speculation_share=0.0)
    desk.progressed(straggler, 0.45, 4.5)
    assert starts(desk.tick()) == []  # 12 s are left, a copy takes 10: two would run for longer than one
    desk, straggler = slow_one(speculation_share=0.5)
    desk.progressed(straggler, 0.4, 4.5)
    assert len(starts(desk.tick())) == 1


def test_a_copy_that_would_hardly_end_sooner_is_not_started():
    desk, straggler = slow_one()
    desk.progressed(straggler, 0.55, 5.5)
    desk.tick(4.0)
    assert starts(desk.said)[4:] == []


def test_a_copy_goes_on_from_the_newest_checkpoint_where_moving_is_too_soon():
    desk, straggler = slow_one(STEPPED)
    desk.sealed(straggler, 0.2)
    desk.controller.ledger.open["a"].moved_at_s = desk.at_s
    (copy,) = starts(desk.tick())
    assert copy.checkpoint is not None
    assert copy.checkpoint.progress == 0.2


def test_without_progress_the_time_that_went_by_tells():
    desk = Desk(predictor=StatedPredictor(seconds=dict.fromkeys(NAMES, 10.0), spread=4.0), speculation_share=9.0)
    desk.up("r0", "r1")
    (start,) = starts(desk.submit("a"))
    assert starts(desk.tick(90.0)) == []  # it has not begun
    desk.began(start)
    assert starts(desk.tick(5.0)) == []
    assert where(desk.tick(95.0)) == [("a.2", "r1")]


def test_few_stragglers_are_looked_at_in_one_tick():
    many = [f"r{i}" for i in range(40)]
    desk = Desk(predictor=StatedPredictor(seconds=dict.fromkeys(many, 10.0), spread=1.2))
    desk.up(*many)
    running = starts(desk.submit(*(f"j{i}" for i in range(20)), computation=SORT))
    desk.began(*running)
    desk.after(10.0).tell(*(progressed(start, desk.at_s, 0.2) for start in running))
    assert len(starts(desk.tick())) == 8
    assert len(starts(desk.tick(1.0))) == 8
    assert len(starts(desk.tick(1.0))) == 4


def test_progress_corrects_when_a_slot_is_expected_to_be_free():
    for own_clocks, expected_s in ((False, 40.0), (True, 15.0)):
        desk = Desk(seconds={"r0": 10.0}, own_clocks=own_clocks)
        desk.up("r0")
        (start,) = starts(desk.submit("a"))
        desk.began(start)
        desk.after(10.0).progressed(start, 0.2, 3.0)
        desk.submit("b")
        free_in_s = desk.controller.pool.free_in_s(desk.at_s)
        whole_s = desk.controller.pool.lanes["r0"].running["a.1"][1]
        assert whole_s == pytest.approx(50.0 if not own_clocks else expected_s)
        assert free_in_s[0] == pytest.approx(expected_s if not own_clocks else 0.0)


def test_words_of_progress_that_make_no_sense_are_ignored():
    desk = Desk(seconds={"r0": 10.0})
    desk.up("r0")
    (start,) = starts(desk.submit("a"))
    entry = desk.controller.ledger.open["a"]
    desk.progressed(start, 0.005)
    assert entry.pace["a.1"].progress == 0.005
    desk.progressed(start, 0.004)
    desk.progressed(start, 1.5)
    desk.progressed(start, 0.3)
    assert entry.pace["a.1"].progress == 0.3
    desk.done(start)
    assert desk.progressed(start, 0.9) == []
    desk = Desk()
    desk.up("r0", "r1")
    first, second = starts(desk.submit("a", replicas=2))
    desk.began(first, second)
    desk.done(first)
    assert desk.progressed(second, 0.9) == []


def four_workers(slow_share: float) -> tuple[float, float]:
    """Return makespan and work of 40 jobs of 1 s on four simulated workers, one of them at a share of its speed."""

    def seconds(start: StartAttempt) -> float:
        return 1.0 / slow_share if start.attempt.placement.resource_id == "r3" else 1.0

    arrivals: list[ev.Event] = [ev.ResourceUp(at_s=0.0, resource=Resource(id=name)) for name in NAMES]
    arrivals += [ev.Submitted(at_s=0.0, job=job(f"j{i:02d}"), computation=SORT) for i in range(40)]
    backend = SimulatedBackend(seconds, arrivals, tick_every_s=0.25, progress_every_s=0.2)
    settings = ControllerSettings(speculation_least_s=0.2)
    predictor = StatedPredictor(seconds=dict.fromkeys(NAMES, 1.0), spread=1.3)
    log: list[ev.Event] = []
    run(Controller(MatchingPolicy(), predictor, LATENCY, settings), backend, log.append)
    over = [event for event in log if isinstance(event, ev.AttemptEnded)]
    done = [event for event in over if event.outcome is AttemptState.DONE]
    assert len(done) == 40
    work = sum(event.usage.wall_s * (slow_share if event.usage.wall_s > 1.01 else 1.0) for event in over)
    return max(event.at_s for event in done), work


def test_a_worker_at_a_fifth_of_its_speed_costs_little_time_and_work():
    clean_s, clean_work = four_workers(1.0)
    slow_s, slow_work = four_workers(0.2)
    assert clean_s == pytest.approx(10.0, abs=0.1)
    assert slow_s <= 1.3 * clean_s * 4 / 3.2
    assert slow_work <= 1.1 * clean_work
