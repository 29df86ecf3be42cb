"""The controller: what each event makes it do, from the first start to the one end of a job."""

import pytest

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, JobState
from dnaml.core.resource import Resource, ResourceState
from dnaml.core.work import Computation, Constraints
from tests.schedule.doubles import Desk, ended, ends, job, reasons, started, starts, stops, where

STEPPED = Computation(id="train", kernel="train", checkpointable=True)
LOST, FAILED, DONE, STOPPED = AttemptState.LOST, AttemptState.FAILED, AttemptState.DONE, AttemptState.STOPPED


def test_a_job_starts_on_the_resource_that_the_plan_chose():
    desk = Desk(seconds={"slow": 9.0, "fast": 2.0})
    desk.up("slow", "fast")
    (start,) = starts(desk.submit("a"))
    assert start.attempt.placement.resource_id == "fast"
    assert (start.attempt.id, start.attempt.epoch, start.attempt.state) == ("a.1", 1, AttemptState.STARTING)
    assert (start.job.id, start.computation.kernel, start.checkpoint) == ("a", "sort", None)


def test_a_start_brings_the_decision_behind_it():
    desk = Desk(seconds={"slow": 9.0, "fast": 2.0})
    desk.up("slow", "fast")
    desk.after(5.0)
    (start,) = starts(desk.submit("a", constraints=Constraints(resource_ids=("slow",))))
    decision = start.decision
    assert (decision.job_id, decision.attempt_id, decision.at_s) == ("a", "a.1", 5.0)
    assert (decision.policy, decision.path) == ("matching", "stated-0")
    assert (decision.resource_ids, decision.chosen) == (("slow", "fast"), "slow")
    assert decision.runtime_p50_s == (9.0, 2.0)
    assert decision.reasons[0] == ""
    assert "runs only on slow" in decision.reasons[1]
    assert decision.score[0] < decision.score[1]


def test_nothing_happens_before_every_event_of_a_moment_is_known():
    desk = Desk(seconds={"slow": 9.0, "fast": 2.0})
    desk.up("slow")
    moment = (desk.submitted(job("a")), ev.ResourceUp(at_s=0.0, resource=Resource(id="fast")))
    assert [desk.controller.handle(event) for event in moment] == [(), ()]
    assert where(desk.tell()) == [("a.1", "fast")]


def test_jobs_queue_by_priority_and_then_by_arrival():
    desk = Desk()
    desk.up("r0")
    (running,) = starts(desk.submit("first"))
    desk.submit("b")
    desk.submit("c")
    desk.submit("urgent", priority=5)
    order = []
    for _ in range(4):
        desk.after(1.0)
        (running,) = starts(desk.done(running)) or [None]
        order.append(running.job.id if running else "idle")
    assert order == ["urgent", "b", "c", "idle"]


def test_each_done_job_ends_once_with_its_result():
    desk = Desk()
    desk.up("r0")
    (start,) = starts(desk.submit("a"))
    desk.began(start)
    (end,) = [c for c in desk.done(start) if isinstance(c, ev.EndJob)]
    assert (end.job_id, end.state, end.attempt_id, end.error) == ("a", JobState.SUCCEEDED, "a.1", None)
    assert end.result is not None
    assert end.result.digest == "a.1"
    assert desk.done(start) == []


def test_the_same_open_job_is_taken_in_once():
    desk = Desk()
    desk.up("r0", slots=2)
    desk.submit("a")
    assert desk.submit("a") == []


def test_a_lost_attempt_resumes_from_its_newest_checkpoint_on_another_resource():
    desk = Desk(seconds={"r0": 5.0, "r1": 6.0})
    desk.up("r0", "r1")
    (start,) = starts(desk.submit("a", computation=STEPPED))
    assert start.attempt.placement.resource_id == "r0"
    desk.began(start)
    desk.after(1.0).sealed(start, 0.2)
    desk.after(1.0).sealed(start, 0.4)
    desk.down("r0")
    (again,) = starts(desk.ended(start, LOST, "gone"))
    assert (again.attempt.id, again.attempt.epoch) == ("a.2", 2)
    assert again.attempt.placement.resource_id == "r1"
    assert again.checkpoint is not None
    assert again.checkpoint.progress == 0.4


def test_an_older_checkpoint_does_not_replace_a_newer_one():
    desk = Desk()
    desk.up("r0", "r1")
    (start,) = starts(desk.submit("a", computation=STEPPED))
    desk.began(start)
    desk.sealed(start, 0.4)
    desk.sealed(start, 0.2)
    (again,) = starts(desk.ended(start, LOST, "gone"))
    assert again.checkpoint is not None
    assert again.checkpoint.progress == 0.4


@pytest.mark.parametrize(
    ("computation", "wanted", "every_s"),
    [
        (STEPPED, {}, 2.0),
        (STEPPED, {"checkpoint_every_s": 7.0}, 7.0),
        (STEPPED, {"checkpoint": False}, None),
        (Computation(id="sort", kernel="sort"), {}, None),
    ],
)
def test_checkpoints_are_asked_for_where_the_computation_can_and_the_job_wants(computation, wanted, every_s):
    desk = Desk(checkpoint_every_s=2.0)
    desk.up("r0")
    (start,) = starts(desk.submit("a", computation=computation, **wanted))
    assert start.attempt.placement.checkpoint_every_s == every_s


def test_three_losses_on_different_resources_fail_the_job_and_name_them():
    desk = Desk()
    desk.up("r0", "r1", "r2", "r3")
    (start,) = starts(desk.submit("poison"))
    hit = []
    for _ in range(2):
        hit.append(start.attempt.placement.resource_id)
        desk.began(start)
        desk.down(hit[-1])
        (start,) = starts(desk.ended(start, LOST, "killed by signal 9"))
    hit.append(start.attempt.placement.resource_id)
    (end,) = desk.ended(start, LOST, "killed by signal 9")
    assert len(set(hit)) == 3
    assert (end.job_id, end.state) == ("poison", JobState.FAILED)
    assert end.error == f"lost 3 times on 3 different resources ({', '.join(sorted(hit))}): killed by signal 9"


def test_losses_on_one_and_the_same_resource_do_not_fail_a_job():
    desk = Desk()
    desk.up("r0")
    (start,) = starts(desk.submit("a"))
    for _ in range(5):
        (start,) = starts(desk.ended(start, LOST, "its worker died"))
    assert start.attempt.epoch == 6
    assert ends(desk.done(start)) == [("a", JobState.SUCCEEDED)]


def test_a_loss_before_the_attempt_began_is_not_held_against_the_job_or_the_resource():
    desk = Desk(distinct_losses=1)
    desk.up("r0")
    (start,) = starts(desk.submit("a"))
    said = desk.tell(ended(start, 0.0, LOST, "its worker died before it began", began=False))
    assert where(said) == [("a.2", "r0")]
    assert desk.controller.pool.error_rate("r0") == 0.0


def test_own_failures_count_against_the_restarts_a_job_may_have():
    desk = Desk()
    desk.up("r0")
    (start,) = starts(desk.submit("a", max_restarts=2))
    for _ in range(2):
        (start,) = starts(desk.ended(start, FAILED, "ValueError: no"))
    (end,) = desk.ended(start, FAILED, "ValueError: still no")
    assert (end.state, end.attempt_id, end.error) == (JobState.FAILED, "a.3", "ValueError: still no")


def test_losses_do_not_count_against_the_restarts_a_job_may_have():
    desk = Desk()
    desk.up("r0", "r1")
    (start,) = starts(desk.submit("a", max_restarts=1))
    (start,) = starts(desk.ended(start, LOST, "gone"))
    (start,) = starts(desk.ended(start, FAILED, "ValueError: no"))
    assert ends(desk.done(start)) == [("a", JobState.SUCCEEDED)]


def test_a_failed_attempt_resumes_from_its_newest_checkpoint():
    desk = Desk()
    desk.up("r0")
    (start,) = starts(desk.submit("a", computation=STEPPED, max_restarts=1))
    desk.began(start)
    desk.sealed(start, 0.5)
    (again,) = starts(desk.ended(start, FAILED, "MemoryError"))
    assert again.checkpoint is not None
    assert again.checkpoint.progress == 0.5


def test_an_attempt_that_stopped_though_nobody_asked_is_started_again():
    desk = Desk()
    desk.up("r0")
    (start,) = starts(desk.submit("a"))
    assert where(desk.ended(start, STOPPED, "stopped by force")) == [("a.2", "r0")]


@pytest.mark.parametrize("attempt_id", ["a.1", "a.2", "never"])
def test_what_comes_of_another_epoch_is_refused(attempt_id):
    desk = Desk()
    desk.up("r0")
    (first,) = starts(desk.submit("a", computation=STEPPED))
    (second,) = starts(desk.ended(first, LOST, "silent"))
    stale_epoch = 1 if attempt_id != "a.1" else 2
    desk.began(second)

    def forged(event: ev.Event) -> ev.Event:
        changes = {name: getattr(event, name) for name in event.__slots__}
        return type(event)(**{**changes, "attempt_id": attempt_id, "epoch": stale_epoch})

    assert desk.tell(forged(ended(second, 1.0, DONE))) == []
    assert desk.tell(forged(started(second, 1.0))) == []
    assert desk.sealed(first, 0.9) == []
    (third,) = starts(desk.ended(second, LOST, "gone"))
    assert third.checkpoint is None
    assert ends(desk.done(third)) == [("a", JobState.SUCCEEDED)]


def test_a_second_report_of_a_start_changes_nothing():
    desk = Desk()
    desk.up("r0")
    (start,) = starts(desk.submit("a"))
    desk.began(start)
    desk.after(3.0)
    assert desk.began(start) == []
    assert desk.controller.ledger.open["a"].live["a.1"].started_at_s == 0.0


def test_a_waiting_job_is_cancelled_at_once():
    desk = Desk()
    desk.up("r0")
    (running,) = starts(desk.submit("a"))
    desk.submit("b")
    (end,) = desk.cancel("b")
    assert (end.job_id, end.state, end.attempt_id) == ("b", JobState.CANCELLED, None)
    assert end.error == "cancelled before it started"
    assert starts(desk.done(running)) == []


def test_a_job_that_recovers_is_cancelled_like_one_that_waits():
    desk = Desk()
    desk.up("r0")
    (start,) = starts(desk.submit("a"))
    desk.down("r0")
    desk.ended(start, LOST, "gone")
    assert ends(desk.cancel("a")) == [("a", JobState.CANCELLED)]
    assert desk.up("r0") == []


def test_cancelling_what_is_over_or_unknown_does_nothing():
    desk = Desk()
    desk.up("r0")
    (start,) = starts(desk.submit("a"))
    desk.done(start)
    assert desk.cancel("a", running=True) == []
    assert desk.cancel("never", running=True) == []


def test_a_running_job_is_left_alone_unless_running_ones_are_meant_too():
    desk = Desk()
    desk.up("r0")
    (start,) = starts(desk.submit("a"))
    desk.began(start)
    assert desk.cancel("a") == []
    assert stops(desk.cancel("a", running=True)) == ["a.1"]
    assert desk.cancel("a", running=True) == []
    (end,) = desk.ended(start, STOPPED, "asked to stop")
    assert (end.state, end.attempt_id, end.error) == (JobState.CANCELLED, "a.1", "asked to stop")


@pytest.mark.parametrize("running", [False, True])
def test_a_job_whose_attempt_is_on_its_way_is_cancelled_and_stopped_again_once_it_began(running):
    desk = Desk()
    desk.up("r0")
    (start,) = starts(desk.submit("a"))
    assert stops(desk.cancel("a", running=running)) == ["a.1"]
    assert stops(desk.began(start)) == ["a.1"]
    assert ends(desk.ended(start, STOPPED)) == [("a", JobState.CANCELLED)]
    assert desk.said[-1].error == "stopped on request"


@pytest.mark.parametrize("outcome", [FAILED, LOST, STOPPED, AttemptState.CANCELLED])
def test_a_job_that_was_asked_to_stop_is_not_started_again(outcome):
    desk = Desk()
    desk.up("r0", "r1")
    (start,) = starts(desk.submit("a", max_restarts=5))
    desk.cancel("a", running=True)
    said = desk.ended(start, outcome, "whatever")
    assert ends(said) == [("a", JobState.CANCELLED)]
    assert starts(said) == []


def test_a_result_that_wins_the_race_against_a_cancellation_counts():
    desk = Desk()
    desk.up("r0")
    (start,) = starts(desk.submit("a"))
    desk.began(start)
    desk.cancel("a", running=True)
    assert ends(desk.done(start)) == [("a", JobState.SUCCEEDED)]


def test_a_resource_that_goes_gets_nothing_more_and_one_that_comes_is_used():
    desk = Desk()
    desk.up("r0")
    (running,) = starts(desk.submit("a"))
    desk.submit("b")
    nothing = "no resource is available; it waits until one is"
    assert reasons(desk.down("r0")) == [("b", nothing)]
    assert reasons(desk.ended(running, LOST, "gone")) == [("a", nothing)]
    assert sorted(where(desk.up("r1", slots=2))) == [("a.2", "r1"), ("b.1", "r1")]


def test_why_a_job_waits_is_said_once():
    desk = Desk()
    assert reasons(desk.submit("a")) == [("a", "no resource is available; it waits until one is")]
    assert desk.after(1.0).tell() == []
    assert desk.tell(ev.ModelChanged(at_s=1.0, model="m2")) == []
    desk.up("r0")
    assert reasons(desk.submit("b", constraints=Constraints(resource_ids=("r9",)))) == [
        ("b", "runs only on r9, resource r0 is none of these")
    ]
    assert desk.tell(ev.ModelChanged(at_s=1.0, model="m3")) == []
    assert reasons(desk.down("r0")) == [("b", "no resource is available; it waits until one is")]


def test_a_job_that_no_resource_is_large_enough_for_waits_and_says_what_the_largest_has():
    desk = Desk()
    desk.up(Resource(id="small", memory_bytes=2**30), Resource(id="large", memory_bytes=2**31))
    big = Computation(id="big", kernel="big", memory_bytes=2**33)
    assert reasons(desk.submit(job("a", kernel="big"), computation=big)) == [
        ("a", "needs 8.0 GiB, the largest resource large has 2.0 GiB")
    ]
    assert where(desk.up(Resource(id="huge", memory_bytes=2**34))) == [("a.1", "huge")]


def test_a_resource_refreshed_or_described_anew_is_planned_for_as_it_is_now():
    desk = Desk()
    desk.up("r0")
    desk.submit("a", "b")
    state = ResourceState(resource_id="r0", at_s=1.0, load=0.5)
    assert desk.tell(ev.ResourceRefreshed(at_s=1.0, state=state)) == []
    assert desk.controller.pool.states["r0"] == state
    assert where(desk.up(Resource(id="r0", slots=2))) == [("b.1", "r0")]


def test_no_more_attempts_run_at_once_than_a_domain_has_cores():
    desk = Desk(cores={"local": 2})
    desk.up("r0", "r1", "r2", "r3")
    said = starts(desk.submit("a", "b", "c", "d"))
    assert len(said) == 2
    for _ in range(2):
        desk.after(1.0)
        said.append(*starts(desk.done(said[0])))
        said.pop(0)
    assert starts(desk.done(*said)) == []
    assert len({start.attempt.placement.resource_id for start in starts(desk.said)}) == 4


def test_events_that_need_nothing_done_are_taken_in_silence():
    assert Desk().tell(ev.ModelChanged(at_s=0.0, model="m2"), ev.Tick(at_s=0.0)) == []


def test_a_lost_attempt_goes_elsewhere_though_its_resource_is_still_there_and_faster():
    desk = Desk(seconds={"r0": 1.0, "r1": 9.0})
    desk.up("r0", "r1")
    (start,) = starts(desk.submit("a"))
    assert where(desk.ended(start, LOST, "its worker died")) == [("a.2", "r1")]


def test_a_job_that_may_run_on_one_resource_only_goes_back_to_it_after_a_loss():
    desk = Desk()
    desk.up("r0", "r1")
    (start,) = starts(desk.submit("a", constraints=Constraints(resource_ids=("r0",))))
    assert where(desk.ended(start, LOST, "its worker died")) == [("a.2", "r0")]


def test_a_job_is_given_up_after_so_many_losses_in_all():
    desk = Desk(most_losses=4)
    desk.up("r0")
    (start,) = starts(desk.submit("a"))
    for _ in range(3):
        (start,) = starts(desk.ended(start, LOST, "its worker died"))
    (end,) = desk.ended(start, LOST, "its worker died")
    assert end.error == "lost 4 times on 1 different resources (r0): its worker died"
