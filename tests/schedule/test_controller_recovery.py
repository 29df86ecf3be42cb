"""After a restart: stored events give the same picture without planning, then the live attempts stand in line again."""

from dataclasses import replace

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, JobState
from dnaml.core.events import Command, Event
from dnaml.core.resource import Resource
from dnaml.core.work import Computation
from tests.schedule.doubles import Desk, ended, ends, job, sealed, started, starts, where

LOST, FAILED, DONE, STOPPED = AttemptState.LOST, AttemptState.FAILED, AttemptState.DONE, AttemptState.STOPPED
STEPPED = Computation(id="train", kernel="train", checkpointable=True)
R0 = ev.ResourceUp(at_s=0.0, resource=Resource(id="r0"))
R1 = ev.ResourceUp(at_s=0.0, resource=Resource(id="r1"))


def submitted(name: str, **resilience: object) -> ev.Submitted:
    return ev.Submitted(at_s=0.0, job=job(name, kernel="train", **resilience), computation=STEPPED)


def attempts(name: str, *, copies: int = 1, again: int = 0):
    """Return the first commands that start a job, as a controller gives them: `copies`, then `again` after losses."""
    desk = Desk(distinct_losses=99, most_losses=99)
    desk.up(*(f"r{i}" for i in range(max(2, copies))))
    made = starts(desk.submit(name, computation=STEPPED, replicas=copies, max_restarts=99))
    for _ in range(again):
        made += starts(desk.ended(made[-1], LOST, "gone"))
    return made


def recovered(*events: Event) -> tuple[Desk, list[Command]]:
    """Return a desk whose controller took in stored events, and what followed from them."""
    desk = Desk()
    said = [command for event in events for command in desk.controller.recover(event)]
    return desk, said


def resume(desk: Desk) -> list[Command]:
    desk.after(100.0)
    return desk.tell(ev.Resumed(at_s=desk.at_s))


def test_nothing_is_started_or_explained_while_stored_events_are_taken_in():
    _, said = recovered(
        R0, submitted("a"), ev.Settled(at_s=0.0), ev.Tick(at_s=1.0), submitted("b"), ev.Settled(at_s=1.0)
    )
    assert said == []


def test_a_waiting_job_starts_once_a_resource_is_offered_again():
    desk, _ = recovered(R0, submitted("a"), ev.Settled(at_s=0.0))
    assert starts(resume(desk)) == []
    assert where(desk.up("r5")) == [("a.1", "r5")]


def test_a_live_attempt_stands_in_line_again_from_its_newest_checkpoint_under_a_new_epoch():
    (first,) = attempts("a")
    desk, _ = recovered(R0, R1, submitted("a"), started(first, 1.0), sealed(first, 2.0, 0.4), ev.Settled(at_s=2.0))
    assert desk.controller.ledger.open["a"].state is JobState.RUNNING
    resume(desk)
    assert desk.controller.ledger.open["a"].state is JobState.RECOVERING
    (again,) = starts(desk.up("r0"))
    assert (again.attempt.id, again.attempt.epoch) == ("a.2", 2)
    assert again.checkpoint is not None
    assert again.checkpoint.progress == 0.4


def test_an_attempt_of_the_old_engine_commits_nothing_after_the_restart():
    (first,) = attempts("a")
    desk, _ = recovered(R0, R1, submitted("a"), started(first, 1.0))
    resume(desk)
    assert desk.done(first) == []
    (again,) = starts(desk.up("r0"))
    assert ends(desk.done(again)) == [("a", JobState.SUCCEEDED)]


def test_ends_follow_from_stored_events_as_they_did_at_the_time():
    (first, second) = attempts("a", again=1)
    desk, said = recovered(
        R0, R1, submitted("a"), started(first, 1.0), ended(first, 2.0, LOST, "gone"), started(second, 2.0),
        ended(second, 3.0, DONE),
    )  # fmt: skip
    assert ends(said) == [("a", JobState.SUCCEEDED)]
    assert desk.controller.ledger.open == {}
    assert starts(resume(desk)) + starts(desk.up("r0")) == []


def test_losses_and_failures_before_the_restart_still_count():
    made = attempts("a", again=2)
    stored: list[Event] = [R0, R1, submitted("a", max_restarts=1)]
    for start, outcome in zip(made[:2], (LOST, FAILED), strict=True):
        stored += [started(start, 1.0), ended(start, 2.0, outcome, "gone")]
    desk, _ = recovered(*stored)
    entry = desk.controller.ledger.open["a"]
    assert (entry.losses, entry.failures, entry.epoch) == (1, 1, 2)
    resume(desk)
    (third,) = starts(desk.up("r0"))
    assert ends(desk.ended(third, FAILED, "ValueError")) == [("a", JobState.FAILED)]


def test_a_stop_that_was_asked_for_is_kept_through_the_restart():
    (first,) = attempts("a")
    cancel = ev.CancelRequested(at_s=2.0, job_id="a", running=True)
    desk, said = recovered(R0, submitted("a"), started(first, 1.0), cancel)
    assert ends(said) == []
    assert ends(resume(desk)) == [("a", JobState.CANCELLED)]
    assert desk.up("r0") == []


def test_copies_that_report_out_of_order_are_all_taken_over():
    first, second = attempts("a", copies=2)
    desk, said = recovered(
        R0, R1, submitted("a", replicas=2), started(second, 1.0), started(first, 1.0), ended(first, 2.0, DONE),
    )  # fmt: skip
    assert ends(said) == [("a", JobState.SUCCEEDED)]
    assert resume(desk) == []


def test_both_copies_of_a_job_are_planned_again_after_the_restart():
    first, second = attempts("a", copies=2)
    desk, _ = recovered(R0, R1, submitted("a", replicas=2), started(first, 1.0), started(second, 1.0))
    resume(desk)
    assert sorted(where(desk.up("r0", "r1"))) in (
        [("a.3", "r0"), ("a.4", "r1")],
        [("a.3", "r1"), ("a.4", "r0")],
    )


def test_messages_that_came_twice_count_once():
    (first, second) = attempts("a", again=1)
    lost = ended(first, 2.0, FAILED, "ValueError")
    desk, said = recovered(
        R0, submitted("a", max_restarts=1), started(first, 1.0), lost, started(first, 2.0), lost, started(second, 3.0),
    )  # fmt: skip
    assert said == []
    assert desk.controller.ledger.open["a"].failures == 1
    assert list(desk.controller.ledger.open["a"].live) == ["a.2"]


def test_starts_of_jobs_nobody_submitted_are_left_out():
    (first,) = attempts("a")
    desk, said = recovered(R0, started(first, 1.0), ended(first, 2.0, DONE))
    assert (said, desk.controller.ledger.open) == ([], {})


def test_a_cancellation_that_met_an_attempt_on_its_way_is_taken_back_when_the_attempt_begins():
    (first,) = attempts("a")
    cancel = ev.CancelRequested(at_s=1.0, job_id="a", running=True)
    _, said = recovered(R0, submitted("a"), cancel, started(first, 2.0), ended(first, 3.0, DONE))
    assert ends(said)[-1] == ("a", JobState.SUCCEEDED)
    cancel = ev.CancelRequested(at_s=1.0, job_id="a")
    desk, said = recovered(R0, submitted("a"), cancel, started(first, 2.0))
    assert desk.controller.ledger.open["a"].state is JobState.RUNNING
    said = desk.controller.recover(ended(first, 3.0, FAILED, "ValueError"))
    assert ends(said) == [("a", JobState.CANCELLED)]


def test_a_failed_copy_does_not_end_a_job_whose_other_copy_was_on_its_way():
    first, second = attempts("a", copies=2)
    _, said = recovered(
        R0, R1, submitted("a", replicas=2), started(first, 1.0), ended(first, 2.0, FAILED, "ValueError"),
        started(second, 3.0), ended(second, 4.0, DONE),
    )  # fmt: skip
    assert ends(said)[-1] == ("a", JobState.SUCCEEDED)


def test_a_second_restart_finds_the_same_jobs():
    (first, second) = attempts("a", again=1)
    desk, _ = recovered(
        R0, submitted("a"), started(first, 1.0), ev.Resumed(at_s=2.0), R0, started(second, 3.0), submitted("b"),
    )  # fmt: skip
    assert {name: entry.state for name, entry in desk.controller.ledger.open.items()} == {
        "a": JobState.RUNNING,
        "b": JobState.PENDING,
    }
    resume(desk)
    assert sorted(where(desk.up("r0", slots=2))) == [("a.3", "r0"), ("b.1", "r0")]


def test_a_late_word_of_an_attempt_that_ended_without_beginning_is_refused_as_it_was_then():
    (first,) = attempts("a")
    never = ended(first, 1.0, LOST, "its worker died before it began", began=False)
    desk, said = recovered(R0, submitted("a"), never, started(first, 2.0), ended(first, 3.0, DONE))
    assert (said, desk.controller.ledger.open["a"].live) == ([], {})
    cancel = ev.CancelRequested(at_s=0.5, job_id="a", running=True)
    _, said = recovered(R0, submitted("a"), cancel, never, started(first, 2.0), ended(first, 3.0, DONE))
    assert ends(said) == [("a", JobState.CANCELLED)]


def test_a_start_under_an_epoch_that_its_name_does_not_carry_is_refused():
    (first,) = attempts("a")
    desk, _ = recovered(R0, submitted("a"), replace(started(first, 1.0), epoch=7))
    assert desk.controller.ledger.open["a"].live == {}


def test_a_stop_that_reached_a_job_between_its_copies_is_remembered_when_the_second_begins():
    first, second = attempts("a", copies=2)
    _, said = recovered(
        R0, R1, submitted("a", replicas=2), started(first, 1.0), ended(first, 2.0, FAILED, "ValueError"),
        ev.CancelRequested(at_s=2.5, job_id="a", running=True), started(second, 3.0), ended(second, 4.0, LOST, "gone"),
    )  # fmt: skip
    assert ends(said)[-1] == ("a", JobState.CANCELLED)
