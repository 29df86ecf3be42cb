"""The simulated backend: time goes from event to event, and commands have the effects that live ones have."""

import pytest

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, JobState
from dnaml.core.events import EndJob, Event, Explain
from dnaml.core.resource import Resource
from dnaml.core.work import Computation
from dnaml.engine import run
from dnaml.execution.simulated import SimulatedBackend
from tests.schedule.doubles import Desk, job

STEPPED = Computation(id="train", kernel="train", checkpointable=True)
SORT = Computation(id="sort", kernel="sort")


def up(name: str, at_s: float = 0.0, slots: int = 1) -> ev.ResourceUp:
    return ev.ResourceUp(at_s=at_s, resource=Resource(id=name, slots=slots))


def submitted(name: str, at_s: float = 0.0, what: Computation = SORT, **resilience: object) -> ev.Submitted:
    return ev.Submitted(at_s=at_s, job=job(name, at_s=at_s, kernel=what.id, **resilience), computation=what)


def simulated(*arrivals: Event, runtime_s: float = 10.0, every_s: float = 2.0, **options: object) -> list[Event]:
    """Return every event of a run in which each attempt takes as long."""
    log: list[Event] = []
    backend = SimulatedBackend(lambda start: runtime_s, arrivals, **options)  # type: ignore[arg-type]
    run(Desk(checkpoint_every_s=every_s).controller, backend, log.append)
    return log


def ended(log: list[Event]) -> list[tuple[str, AttemptState, float]]:
    return [(e.attempt_id, e.outcome, e.at_s) for e in log if isinstance(e, ev.AttemptEnded)]


def kinds(log: list[Event], at_s: float) -> list[str]:
    return [type(event).__name__ for event in log if event.at_s == at_s]


def test_time_goes_from_event_to_event_and_every_moment_is_settled():
    log = simulated(up("r0"), submitted("a"), submitted("b", at_s=3.0))
    assert kinds(log, 0.0) == ["ResourceUp", "Submitted", "Settled", "AttemptStarted", "Settled"]
    assert kinds(log, 3.0) == ["Submitted", "Settled"]
    assert kinds(log, 10.0) == ["AttemptEnded", "AttemptStarted", "Settled"]
    assert ended(log) == [("a.1", AttemptState.DONE, 10.0), ("b.1", AttemptState.DONE, 20.0)]
    assert [event.at_s for event in log] == sorted(event.at_s for event in log)


def test_an_attempt_is_charged_what_it_ran():
    (end,) = [e for e in simulated(up("r0"), submitted("a"), startup_s=4.0) if isinstance(e, ev.AttemptEnded)]
    assert (end.at_s, end.usage.wall_s, end.began) == (14.0, 10.0, True)


def test_what_is_posted_late_happens_now():
    backend = SimulatedBackend(lambda start: 1.0, [ev.Tick(at_s=5.0)])
    told = []
    for event in backend.events():
        told.append(event)
        if isinstance(event, ev.Tick) and event.at_s == 5.0:
            backend.post(ev.Tick(at_s=1.0))
    assert told == [ev.Tick(at_s=5.0), ev.Tick(at_s=1.0), ev.Settled(at_s=5.0)]
    assert backend.now_s == 5.0


def test_a_runtime_may_depend_on_the_job_and_its_resource():
    backend = SimulatedBackend(
        lambda start: {"r0": 2.0, "r1": 3.0}[start.attempt.placement.resource_id], [up("r0"), up("r1")]
    )
    for name in "ab":
        backend.post(submitted(name))
    log: list[Event] = []
    run(Desk().controller, backend, log.append)
    assert sorted(at_s for _, _, at_s in ended(log)) == [2.0, 3.0]


def test_progress_is_sealed_at_its_interval_until_just_before_the_end():
    log = simulated(up("r0"), submitted("a", what=STEPPED), every_s=2.5)
    marks = [(e.at_s, e.checkpoint.progress) for e in log if isinstance(e, ev.CheckpointSealed)]
    assert marks == [(2.5, 0.25), (5.0, 0.5), (7.5, 0.75)]


def test_a_resource_that_goes_loses_its_attempts_and_they_go_on_elsewhere_from_their_checkpoints():
    down = ev.ResourceDown(at_s=5.0, resource_id="r0", reason="power")
    log = simulated(up("r0"), submitted("a", what=STEPPED), up("r1", at_s=1.0), down, every_s=2.0)
    assert ended(log) == [("a.1", AttemptState.LOST, 5.0), ("a.2", AttemptState.DONE, 11.0)]
    lost = next(e for e in log if isinstance(e, ev.AttemptEnded))
    assert (lost.error, lost.usage.wall_s, lost.began) == ("power", 5.0, True)
    assert not [e for e in log if isinstance(e, ev.CheckpointSealed) and e.attempt_id == "a.1" and e.at_s > 5.0]


def test_an_attempt_that_is_lost_or_stopped_while_it_starts_up_never_began():
    down = ev.ResourceDown(at_s=1.0, resource_id="r0", reason="power")
    log = simulated(up("r0"), up("r1", at_s=0.5), submitted("a"), down, startup_s=3.0)
    assert ended(log) == [("a.1", AttemptState.LOST, 1.0), ("a.2", AttemptState.DONE, 14.0)]
    assert [e.attempt_id for e in log if isinstance(e, ev.AttemptStarted)] == ["a.2"]
    assert not next(e for e in log if isinstance(e, ev.AttemptEnded)).began
    cancel = ev.CancelRequested(at_s=1.0, job_id="a", running=True)
    log = simulated(up("r0"), submitted("a"), cancel, startup_s=3.0)
    assert ended(log) == [("a.1", AttemptState.CANCELLED, 1.0)]


def test_a_stopped_attempt_ends_there_and_then():
    cancel = ev.CancelRequested(at_s=4.0, job_id="a", running=True)
    log = simulated(up("r0"), submitted("a", what=STEPPED), cancel, cancel)
    assert ended(log) == [("a.1", AttemptState.STOPPED, 4.0)]
    assert not [e for e in log if isinstance(e, ev.CheckpointSealed) and e.at_s > 4.0]


def test_stopping_what_does_not_run_does_nothing():
    backend = SimulatedBackend(lambda start: 1.0)
    backend.do(ev.StopAttempt(attempt_id="never", epoch=1, reason="why not"))
    backend.do(EndJob(job_id="a", state=JobState.CANCELLED, attempt_id=None, error=None, result=None))
    backend.do(Explain(job_id="a", reason="why not"))
    assert list(backend.events()) == []


def test_the_attempts_that_are_named_fail_with_their_error():
    log = simulated(up("r0"), submitted("a", max_restarts=1), failures={"a.1": "ValueError: no"})
    assert ended(log) == [("a.1", AttemptState.FAILED, 10.0), ("a.2", AttemptState.DONE, 20.0)]
    assert next(e for e in log if isinstance(e, ev.AttemptEnded)).error == "ValueError: no"


def test_ticks_come_at_their_period_while_an_attempt_is_in_flight_and_not_otherwise():
    log = simulated(up("r0"), submitted("a", at_s=5.0), submitted("b", at_s=100.0), runtime_s=3.5, tick_every_s=1.0)
    ticks = [event.at_s for event in log if isinstance(event, ev.Tick)]
    assert ticks == [5.0, 6.0, 7.0, 8.0, 100.0, 101.0, 102.0, 103.0]


def test_equal_arrivals_give_equal_events():
    arrivals = [up("r0"), up("r1", slots=2), *(submitted(f"j{i}", at_s=i / 3, what=STEPPED) for i in range(9))]
    arrivals += [ev.ResourceDown(at_s=7.0, resource_id="r1", reason="power"), up("r1", at_s=12.0)]
    assert simulated(*arrivals, tick_every_s=1.0) == simulated(*arrivals, tick_every_s=1.0)


@pytest.mark.parametrize("copies", [2, 3])
def test_of_several_copies_one_is_done_and_the_others_are_stopped(copies):
    resources = [up(f"r{i}") for i in range(copies)]
    desk, log = Desk(), []
    backend = SimulatedBackend(lambda start: 5.0 + start.attempt.epoch, [*resources, submitted("a", replicas=copies)])
    run(desk.controller, backend, log.append)
    outcomes = sorted(outcome.value for _, outcome, _ in ended(log))
    assert outcomes == ["done"] + ["stopped"] * (copies - 1)


def test_an_attempt_saves_on_request_and_tells_its_progress():
    ask = ev.MigrateRequested(at_s=5.0, job_id="a", resource_id="r1")
    every = {"checkpoint_every_s": 100.0}
    arrivals = (up("r0"), submitted("a", what=STEPPED, **every), up("r1", at_s=1.0), ask)
    log = simulated(*arrivals, progress_every_s=2.0, write_s=0.5, tick_every_s=20.0)
    (sealed,) = [event for event in log if isinstance(event, ev.CheckpointSealed)]
    assert (sealed.at_s, sealed.checkpoint.progress, sealed.write_s) == (5.5, 0.5, 0.5)
    told = [(e.attempt_id, e.at_s, e.progress) for e in log if isinstance(e, ev.AttemptProgressed)]
    assert told[:2] == [("a.1", 2.0, 0.2), ("a.1", 4.0, 0.4)]
    # The source goes on until the target has told how far it is.
    assert ended(log) == [("a.1", AttemptState.STOPPED, 7.5), ("a.2", AttemptState.DONE, 10.5)]


def test_what_is_not_there_saves_nothing():
    backend = SimulatedBackend(lambda start: 1.0)
    backend.do(ev.SealCheckpoint(attempt_id="never", epoch=1))
    backend.do(ev.WakeAt(at_s=3.0))
    assert list(backend.events()) == [ev.Tick(at_s=3.0), ev.Settled(at_s=3.0)]
