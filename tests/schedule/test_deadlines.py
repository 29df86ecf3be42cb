"""A job that waits past its deadline ends and says why, in this engine or the next."""

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, Cause, JobState
from dnaml.core.events import WakeAt
from dnaml.core.work import Computation, Constraints
from dnaml.schedule.controller import Controller
from dnaml.schedule.matching import MatchingPolicy
from tests.schedule.doubles import LATENCY, Desk, StatedPredictor, ends, job, starts
from tests.schedule.test_health import ended_by, the_end


def test_a_job_that_still_waits_at_its_deadline_ends_and_says_why():
    desk = Desk(seconds={"r0": 40.0})
    desk.up("r0")
    desk.began(*starts(desk.submit("first")))
    said = desk.submit(job("a", at_s=0.0, constraints=Constraints(deadline_s=30.0)))
    assert WakeAt(at_s=30.0) in said
    desk.after(31.0)
    end = the_end(desk.tell(ev.Tick(at_s=desk.at_s)))
    assert (end.job_id, end.state) == ("a", JobState.FAILED)
    assert end.error is not None
    assert end.error.startswith("its deadline, 30 s after it was submitted, passed before it could start")
    assert not ends(desk.tell(ev.Tick(at_s=desk.at_s + 50.0)))


def test_a_deadline_of_a_running_job_is_looked_at_again_when_the_attempt_is_gone():
    desk = Desk(seconds={"r0": 10.0})
    desk.up("r0")
    (start,) = starts(desk.submit(job("a", at_s=0.0, constraints=Constraints(deadline_s=30.0))))
    desk.began(start)
    desk.after(30.0)
    assert not ends(desk.tell(ev.Tick(at_s=desk.at_s)))
    ended_by(desk, start, Cause.DIED, outcome=AttemptState.LOST)
    assert the_end(desk.tell(ev.Tick(at_s=desk.at_s + 2.0))).state is JobState.FAILED


def test_deadlines_are_watched_again_by_the_next_engine_and_not_those_of_jobs_before():
    desk = Desk()
    limited = job("a", at_s=0.0, constraints=Constraints(deadline_s=30.0))
    for event in (
        ev.Submitted(at_s=0.0, job=limited, computation=Computation(id="sort", kernel="sort")),
        ev.CancelRequested(at_s=1.0, job_id="a"),
        ev.Submitted(at_s=2.0, job=job("a", at_s=100.0, constraints=Constraints(deadline_s=30.0)),
                     computation=Computation(id="sort", kernel="sort")),
    ):  # fmt: skip
        assert not [command for command in desk.controller.recover(event) if isinstance(command, WakeAt)]
    assert WakeAt(at_s=30.0) in desk.controller.handle(ev.Resumed(at_s=20.0))
    assert not ends(list(desk.controller.handle(ev.Tick(at_s=30.0))))
    assert Controller(MatchingPolicy(), StatedPredictor(), LATENCY).handle(ev.Resumed(at_s=0.0)) == ()
