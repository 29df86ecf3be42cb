"""Resources that flap rest ever longer; computations that are too large go where they fit; nothing runs for ever."""

import pytest

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, Cause, JobState, Usage
from dnaml.core.events import Command, EndJob, StartAttempt, WakeAt
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Constraints
from dnaml.engine import run
from dnaml.execution.simulated import Fate, SimulatedBackend
from dnaml.schedule.controller import Controller
from dnaml.schedule.matching import MatchingPolicy
from dnaml.schedule.planning import ControllerSettings
from tests.schedule.doubles import LATENCY, Desk, StatedPredictor, ended, ends, job, reasons, starts, where

DONE, FAILED, LOST = AttemptState.DONE, AttemptState.FAILED, AttemptState.LOST
OUT_OF_MEMORY, OVERRAN = Cause.OUT_OF_MEMORY, Cause.OVERRAN
MIB = 2**20


def ended_by(
    desk: Desk, start: StartAttempt, cause: Cause, *, outcome: AttemptState = FAILED, peak: int | None = None
) -> list[Command]:
    """End an attempt for a cause that was not its resource's."""
    return desk.tell(
        ev.AttemptEnded(
            at_s=desk.at_s,
            attempt_id=start.attempt.id,
            epoch=start.attempt.epoch,
            outcome=outcome,
            usage=Usage(wall_s=1.0, peak_memory_bytes=peak),
            error=cause.value,
            cause=cause,
        )
    )


def the_end(said: list[Command]) -> EndJob:
    (end,) = [command for command in said if isinstance(command, EndJob)]
    return end


# -- flapping --------------------------------------------------------------------------------------------------------


def flap(desk: Desk, name: str, times: int, every_s: float = 2.0) -> int:
    """Let a resource go and come so many times; return how many attempts were started on it."""
    placed, live = 0, starts(desk.up(name))
    for _ in range(times):
        placed += len(live)
        desk.began(*live)
        desk.after(every_s).down_with(name, *live)
        live = [start for start in starts(desk.after(every_s).up(name)) if start.attempt.placement.resource_id == name]
    return placed + len(live)


def test_a_resource_that_flaps_every_two_seconds_gets_few_placements_in_five_minutes():
    desk = Desk(seconds={"flaky": 1.0, "calm": 50.0}, most_losses=99, distinct_losses=99)
    desk.up("calm")
    desk.submit(*(f"j{i}" for i in range(30)))
    assert flap(desk, "flaky", 75) <= 3


def test_the_first_time_down_is_free_and_each_further_one_rests_for_twice_as_long():
    desk = Desk(cooldown_s=10.0, most_cooldown_s=30.0)
    desk.up("r0")
    rests = []
    for _ in range(5):
        desk.after(1.0).down("r0")
        woken = [command for command in desk.up("r0") if isinstance(command, WakeAt)]
        rests += [command.at_s - desk.at_s for command in woken]
    assert rests == [10.0, 20.0, 30.0, 30.0]


def test_a_resource_that_rests_says_so_and_works_again_when_it_has_rested():
    desk = Desk(cooldown_s=10.0)
    desk.up("r0")
    for _ in range(2):
        desk.after(1.0).down("r0")
        desk.up("r0")
    assert reasons(desk.submit("a")) == [
        ("a", "no resource is available; it waits until one is; r0 comes and goes, so it rests for a while")
    ]
    assert starts(desk.tick(9.0)) == []
    assert where(desk.tick(1.0)) == [("a.1", "r0")]


def test_a_quiet_time_makes_a_fresh_start():
    desk = Desk(cooldown_s=10.0, quiet_s=100.0)
    desk.up("r0")
    for _ in range(4):
        desk.after(111.0).down("r0")
        assert [command for command in desk.up("r0") if isinstance(command, WakeAt)] == []


def test_a_new_description_of_a_resting_resource_does_not_wake_it():
    desk = Desk(cooldown_s=10.0)
    desk.up("r0")
    for _ in range(2):
        desk.after(1.0).down("r0")
        desk.up("r0")
    desk.up("r0")
    assert desk.controller.pool.lanes["r0"].closed
    desk.down("r0")
    desk.tick(100.0)
    desk.up("r0")
    assert not desk.controller.pool.lanes["r0"].closed


def test_a_resource_that_rests_and_is_about_to_go_stays_closed():
    desk = Desk(cooldown_s=10.0)
    desk.up("r0")
    for _ in range(2):
        desk.after(1.0).down("r0")
        desk.up("r0")
    desk.notice("r0", 100.0)
    desk.tick(11.0)
    assert desk.controller.pool.lanes["r0"].closed


def test_a_resource_that_loses_three_jobs_in_a_row_rests():
    desk = Desk(seconds={"bad": 1.0, "good": 50.0})
    desk.up("bad", "good")
    for name in ("a", "b", "c"):
        (start,) = [s for s in starts(desk.submit(name)) if s.attempt.placement.resource_id == "bad"]
        desk.began(start)
        desk.after(5.0).ended(start, LOST, "its worker died")
    assert desk.controller.pool.lanes["bad"].closed
    assert "good" in {lane.resource.id for lane in desk.controller.pool.offered}


def test_losses_of_one_moment_or_of_one_job_or_between_results_are_not_held_against_a_resource():
    for gap_s, between in ((0.0, False), (5.0, True)):
        desk = Desk()
        desk.up("r0", slots=8)
        for name in ("a", "b", "c", "d"):
            (start,) = starts(desk.submit(name))
            desk.began(start)
            desk.after(gap_s).ended(start, LOST, "its worker died")
            if between:
                (other,) = starts(desk.submit(f"{name}2"))
                desk.done(other)
        assert not desk.controller.pool.lanes["r0"].closed
    desk = Desk(most_losses=99)
    desk.up("r0")
    (start,) = starts(desk.submit("a"))
    for _ in range(5):
        (start,) = starts(desk.after(5.0).ended(start, LOST, "its worker died"))


def test_a_resource_that_rests_is_woken_in_the_simulated_engine_though_nothing_runs():
    arrivals: list[ev.Event] = []
    for i in range(3):
        arrivals.append(ev.ResourceUp(at_s=2.0 * i, resource=Resource(id="r0")))
        arrivals.append(ev.ResourceDown(at_s=2.0 * i + 1.0, resource_id="r0", reason="flaps"))
    arrivals.append(ev.ResourceUp(at_s=6.0, resource=Resource(id="r0")))
    arrivals.append(ev.Submitted(at_s=6.5, job=job("a"), computation=Computation(id="sort", kernel="sort")))
    log: list[ev.Event] = []
    controller = Controller(MatchingPolicy(), StatedPredictor(), LATENCY, ControllerSettings(cooldown_s=30.0))
    run(controller, SimulatedBackend(lambda start: 1.0, arrivals), log.append)
    (over,) = [event for event in log if isinstance(event, ev.AttemptEnded)]
    assert (over.outcome, over.at_s) == (DONE, 66.0)


# -- memory ----------------------------------------------------------------------------------------------------------


def sized() -> Desk:
    desk = Desk(seconds={"small": 1.0, "middle": 2.0, "large": 3.0})
    for name, size in (("small", 64), ("middle", 80), ("large", 128)):
        desk.up(Resource(id=name, memory_bytes=size * MIB))
    return desk


@pytest.mark.parametrize("outcome", [FAILED, LOST])
def test_what_ran_out_of_memory_goes_where_half_as_much_again_fits_and_nobody_is_blamed(outcome):
    desk = sized()
    (start,) = starts(desk.submit("a"))
    assert start.attempt.placement.resource_id == "small"
    desk.began(start)
    (again,) = starts(ended_by(desk, start, OUT_OF_MEMORY, outcome=outcome, peak=64 * MIB))
    assert again.attempt.placement.resource_id == "large"
    assert again.computation.memory_bytes == 96 * MIB
    entry = desk.controller.ledger.open["a"]
    assert (entry.failures, entry.losses, entry.lost_on) == (0, 0, set())
    assert desk.controller.pool.error_rate("small") == 0.0
    assert ends(desk.done(again)) == [("a", JobState.SUCCEEDED)]


def test_what_a_computation_needs_is_remembered_for_jobs_that_wait_and_that_come():
    desk = sized()
    (first,) = starts(desk.submit("a", constraints=Constraints(resource_ids=("small", "large"))))
    desk.submit("waits", constraints=Constraints(resource_ids=("small", "large")))
    ended_by(desk, first, OUT_OF_MEMORY)
    assert desk.controller.ledger.open["waits"].computation.memory_bytes == 96 * MIB
    (other,) = starts(desk.submit("other", computation=Computation(id="x", kernel="x")))
    assert other.attempt.placement.resource_id == "small"
    desk.done(other)
    assert "small" not in [name for _, name in where(desk.submit("later"))]
    wide = Computation(id="sort", kernel="sort", memory_bytes=120 * MIB)
    desk.submit("declared", computation=wide)
    assert desk.controller.ledger.open["declared"].computation.memory_bytes == 120 * MIB


def test_where_nothing_is_large_enough_the_job_fails_and_the_largest_is_named():
    desk = sized()
    (start,) = starts(desk.submit("a"))
    (start,) = starts(ended_by(desk, start, OUT_OF_MEMORY))
    end = the_end(ended_by(desk, start, OUT_OF_MEMORY, peak=200 * MIB))
    assert end.state is JobState.FAILED
    assert end.error == "needs 300 MiB by what it used before, the largest resource large has 128 MiB"


def test_resources_of_unknown_size_are_never_tried_twice():
    desk = Desk()
    desk.up("r0", "r1")
    (start,) = starts(desk.submit("a"))
    (again,) = starts(ended_by(desk, start, OUT_OF_MEMORY, peak=10 * MIB))
    assert again.attempt.placement.resource_id != start.attempt.placement.resource_id
    assert again.computation.memory_bytes == 15 * MIB
    end = the_end(ended_by(desk, again, OUT_OF_MEMORY))
    assert end.error is not None
    assert end.error.endswith("has memory of unknown size")


def test_a_job_that_was_too_large_waits_where_no_resource_is_up_at_all():
    desk = sized()
    (start,) = starts(desk.submit("a"))
    desk.began(start)
    for name in ("small", "middle", "large"):
        desk.down(name)
    assert ends(ended_by(desk, start, OUT_OF_MEMORY)) == []
    assert where(desk.up(Resource(id="huge", memory_bytes=2**34))) == [("a.2", "huge")]


def test_a_run_that_was_too_large_is_learnt_as_its_own_failure():
    desk = Desk()
    desk.up("r0", "r1")
    (start,) = starts(desk.submit("a"))
    ended_by(desk, start, OUT_OF_MEMORY, outcome=LOST)
    (noted,) = desk.controller.predictor.taught[0]
    assert (noted.failed, noted.censored) == (True, False)


def test_the_simulated_engine_finds_the_resource_that_is_large_enough():
    arrivals: list[ev.Event] = [
        ev.ResourceUp(at_s=0.0, resource=Resource(id=f"r{size}", memory_bytes=size * MIB)) for size in (64, 96, 256)
    ]
    arrivals.append(ev.Submitted(at_s=0.0, job=job("a"), computation=Computation(id="sort", kernel="sort")))
    seconds = {"r64": 1.0, "r96": 2.0, "r256": 3.0}

    def fate(start: StartAttempt) -> Fate | None:
        limit = int(start.attempt.placement.resource_id[1:])
        return None if limit >= 100 else Fate(cause=OUT_OF_MEMORY, after_share=0.5, peak_memory_bytes=limit * MIB)

    log: list[ev.Event] = []
    backend = SimulatedBackend(lambda start: 1.0, arrivals, fate=fate)
    run(Controller(MatchingPolicy(), StatedPredictor(seconds=seconds), LATENCY), backend, log.append)
    placed = [e.placement.resource_id for e in log if isinstance(e, ev.AttemptStarted)]
    assert placed[-1] == "r256"
    assert len(set(placed)) == len(placed)


# -- time ------------------------------------------------------------------------------------------------------------


def test_an_attempt_may_run_until_the_deadline_of_its_user():
    desk = Desk(seconds={"r0": 10.0})
    desk.up("r0")
    desk.after(5.0)
    (start,) = starts(desk.submit(job("a", at_s=0.0, constraints=Constraints(deadline_s=30.0))))
    assert start.kill_after_s == 25.0
    desk.began(start)
    desk.after(25.0)
    end = the_end(ended_by(desk, start, OVERRAN))
    assert (end.state, end.error) == (JobState.FAILED, "still ran at its deadline, 30 s after it was submitted")


def test_a_known_computation_is_held_to_many_times_its_prediction_and_an_unknown_one_is_not():
    desk = Desk(seconds={"r0": 10.0})
    desk.up("r0")
    limits = []
    for i in range(5):
        (start,) = starts(desk.submit(f"j{i}"))
        limits.append(start.kill_after_s)
        desk.done(start)
    assert limits == [None, None, None, 200.0, 200.0]
    (start,) = starts(desk.submit("tight", constraints=Constraints(deadline_s=50.0)))
    assert start.kill_after_s == 50.0


def test_an_overrun_of_the_prediction_is_a_loss_and_the_next_limit_is_longer():
    desk = Desk(seconds=dict.fromkeys(("r0", "r1", "r2", "r3"), 0.1), overrun_known_runs=0, learn_every_s=1e9)
    desk.up("r0", "r1", "r2", "r3")
    (start,) = starts(desk.submit("endless"))
    limits = []
    for _ in range(2):
        limits.append(start.kill_after_s)
        desk.began(start)
        (start,) = starts(ended_by(desk, start, OVERRAN))
    limits.append(start.kill_after_s)
    assert limits == [60.0, 600.0, 6000.0]
    assert all(run_.censored and not run_.failed for run_ in desk.controller._planner._runs)
    end = the_end(ended_by(desk, start, OVERRAN))
    assert end.error is not None
    assert end.error.startswith("lost 3 times on 3 different resources")
    assert all(desk.controller.pool.error_rate(name) in (0.0, None) for name in ("r0", "r1", "r2", "r3"))


def test_a_deadline_that_has_passed_is_never_placed():
    desk = Desk()
    desk.up("r0")
    desk.after(50.0)
    said = desk.submit(job("a", at_s=0.0, constraints=Constraints(deadline_s=30.0)))
    assert starts(said) == []
    ((_, reason),) = reasons(said)
    assert "the deadline is in -20 s" in reason


def test_an_attempt_that_moves_after_its_deadline_is_killed_at_once():
    desk = Desk(seconds={"r0": 10.0, "r1": 10.0})
    desk.up("r0", "r1")
    (start,) = starts(desk.submit("a", constraints=Constraints(deadline_s=30.0)))
    desk.began(start)
    desk.tell(ev.AttemptProgressed(at_s=0.0, attempt_id="never", epoch=1, progress=0.5, used_s=1.0))
    desk.after(5.0).migrate("a")
    assert starts(desk.said)[-1].kill_after_s == 25.0


def test_what_never_ends_is_killed_in_the_simulated_engine():
    arrivals: list[ev.Event] = [ev.ResourceUp(at_s=0.0, resource=Resource(id="r0"))]
    limited = job("a", constraints=Constraints(deadline_s=30.0))
    arrivals.append(ev.Submitted(at_s=0.0, job=limited, computation=Computation(id="sort", kernel="sort")))
    log: list[ev.Event] = []
    controller = Controller(MatchingPolicy(), StatedPredictor(), LATENCY)
    run(controller, SimulatedBackend(lambda start: 1e9, arrivals), log.append)
    (over,) = [event for event in log if isinstance(event, ev.AttemptEnded)]
    assert (over.at_s, over.cause) == (pytest.approx(30.0), OVERRAN)
    assert controller.ledger.open == {}


def test_an_attempt_that_the_resource_lost_before_it_began_is_no_cause_to_rest():
    desk = Desk()
    desk.up("r0")
    for name in ("a", "b", "c", "d"):
        (start,) = starts(desk.after(5.0).submit(name))
        desk.tell(ended(start, desk.at_s, LOST, "never began", began=False))
        desk.cancel(name, running=True)
        desk.ended(starts(desk.said)[-1], AttemptState.STOPPED)
    assert not desk.controller.pool.lanes["r0"].closed
