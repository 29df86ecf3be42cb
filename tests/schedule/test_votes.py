"""Copies that vote: a strict majority commits, whoever disagrees loses trust, and without agreement nobody wins."""

from dataclasses import replace

import pytest

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, JobState, Stored
from dnaml.core.events import Command, EndJob, StartAttempt
from dnaml.core.resource import Resource
from dnaml.core.work import Computation
from dnaml.engine import run
from dnaml.execution.simulated import SimulatedBackend
from dnaml.schedule.controller import Controller
from dnaml.schedule.matching import MatchingPolicy
from tests.schedule.doubles import LATENCY, Desk, StatedPredictor, ended, ends, job, started, starts, stops

DONE, FAILED, LOST, STOPPED = AttemptState.DONE, AttemptState.FAILED, AttemptState.LOST, AttemptState.STOPPED
SORT = Computation(id="sort", kernel="sort")


def stored(digest: str) -> Stored:
    return Stored(segment=1, offset=0, size_bytes=1, digest=digest)


def says(desk: Desk, start: StartAttempt, digest: str) -> list[Command]:
    """Let a copy end with a result of this digest."""
    return desk.tell(replace(ended(start, desk.at_s, DONE), result=stored(digest)))


def voting(replicas: int = 3, resources: int = 6) -> tuple[Desk, list[StartAttempt]]:
    desk = Desk(learn_every_s=1e9)
    desk.up(*(f"r{i}" for i in range(resources)))
    copies = starts(desk.submit("a", replicas=replicas, vote=True))
    assert len({copy.attempt.placement.resource_id for copy in copies}) == replicas
    desk.began(*copies)
    return desk, copies


def test_two_of_three_that_agree_commit_and_the_third_is_stopped():
    desk, (first, second, third) = voting()
    assert says(desk, first, "x") == []
    said = says(desk, second, "x")
    (end,) = [command for command in said if isinstance(command, EndJob)]
    assert (end.state, end.result, end.error) == (JobState.SUCCEEDED, stored("x"), None)
    assert stops(said) == [third.attempt.id]
    assert ends(desk.ended(third, STOPPED)) == []


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_one_wrong_copy_of_three_commits_nothing_and_its_resource_loses_trust(wrong):
    desk, copies = voting()
    order = [copies[wrong], *(copy for i, copy in enumerate(copies) if i != wrong)]
    said = [command for copy in order for command in says(desk, copy, "bad" if copy is copies[wrong] else "good")]
    (end,) = [command for command in said if isinstance(command, EndJob)]
    assert end.result == stored("good")
    pool = desk.controller.pool
    for copy in copies:
        assert pool.error_rate(copy.attempt.placement.resource_id) == (1.0 if copy is copies[wrong] else 0.0)
    (run_,) = [run_ for run_ in desk.controller._planner._runs if run_.failed]
    assert (run_.resource.id, run_.censored) == (copies[wrong].attempt.placement.resource_id, True)


def test_without_a_majority_one_more_copy_runs_where_none_has_voted():
    desk, copies = voting()
    said = [command for copy, digest in zip(copies, "xyz", strict=True) for command in says(desk, copy, digest)]
    (fourth,) = starts(said)
    assert fourth.attempt.placement.resource_id not in {copy.attempt.placement.resource_id for copy in copies}
    (fifth,) = starts(says(desk, fourth, "x"))  # two of four are no majority of four
    (end,) = [command for command in says(desk, fifth, "x") if isinstance(command, EndJob)]
    assert (end.state, end.result) == (JobState.SUCCEEDED, stored("x"))


def test_copies_that_never_agree_fail_the_job_and_are_named():
    desk, copies = voting(replicas=2)
    names, waiting, number = [], list(copies), 0
    while waiting:
        copy = waiting.pop(0)
        names.append(copy.attempt.placement.resource_id)
        waiting += starts(said := says(desk, copy, f"d{number}"))
        number += 1
    (end,) = [command for command in said if isinstance(command, EndJob)]
    assert end.state is JobState.FAILED
    assert end.result is None
    shown = ", ".join(f"{name}: d{i}" for i, name in enumerate(names))
    assert end.error == f"4 copies voted and no result has a majority ({shown})"


def test_a_failure_is_a_vote_too_and_a_majority_of_them_fails_the_job():
    desk, (first, second, third) = voting()
    assert desk.ended(first, FAILED, "ValueError: no") == []
    said = desk.ended(second, FAILED, "ValueError: no")
    assert ends(said) == [("a", JobState.FAILED)]
    assert stops(said) == [third.attempt.id]
    desk, (first, second, third) = voting()
    desk.ended(first, FAILED, "MemoryError")
    says(desk, second, "x")
    assert ends(says(desk, third, "x")) == [("a", JobState.SUCCEEDED)]
    assert desk.controller.pool.error_rate(first.attempt.placement.resource_id) == 1.0


def test_a_lost_copy_has_no_vote_and_is_replaced_when_the_others_cannot_decide():
    desk, (first, second, third) = voting()
    desk.ended(first, LOST, "gone")
    says(desk, second, "x")
    (again,) = starts(says(desk, third, "y"))
    assert ends(says(desk, again, "y")) == [("a", JobState.SUCCEEDED)]


def test_a_vote_that_is_cancelled_ends_with_its_last_copy():
    desk, (first, second, third) = voting()
    desk.cancel("a", running=True)
    assert says(desk, first, "x") == []
    assert desk.ended(second, FAILED, "stopped while it failed") == []
    assert ends(desk.ended(third, STOPPED)) == [("a", JobState.CANCELLED)]
    desk, (first, second, third) = voting()
    desk.cancel("a", running=True)
    says(desk, first, "x")
    says(desk, second, "y")
    assert ends(says(desk, third, "z")) == [("a", JobState.CANCELLED)]


def test_a_voter_whose_resource_is_gone_by_then_is_not_held_to_account():
    desk, (first, second, third) = voting()
    says(desk, first, "bad")
    desk.down(first.attempt.placement.resource_id)
    says(desk, second, "good")
    assert ends(says(desk, third, "good")) == [("a", JobState.SUCCEEDED)]
    assert desk.controller.pool.error_rate(first.attempt.placement.resource_id) is None


def test_stored_votes_count_where_the_resource_was_never_described():
    _, copies = voting()
    heir = Desk()
    heir.tell(heir.submitted(job("a", replicas=3, vote=True)))
    stored_events = [started(copy, 1.0) for copy in copies]
    stored_events += [
        replace(ended(copy, 2.0, DONE), result=stored(digest)) for copy, digest in zip(copies, "xyy", strict=True)
    ]
    said = [command for event in stored_events for command in heir.controller.recover(event)]
    assert ends(said) == [("a", JobState.SUCCEEDED)]
    assert heir.controller._planner._runs == []
    assert heir.controller.recover(replace(started(copies[0], 3.0), attempt_id="a.4", epoch=4)) == ()


def test_a_copy_that_begins_after_a_majority_failed_the_job_does_not_open_it_again():
    _, copies = voting()
    heir = Desk()
    heir.tell(heir.submitted(job("a", replicas=3, vote=True)))
    for event in (
        started(copies[0], 1.0),
        started(copies[1], 1.0),
        ended(copies[0], 2.0, FAILED, "no"),
        ended(copies[1], 2.0, FAILED, "no"),
        started(copies[2], 2.5),
        replace(ended(copies[2], 3.0, DONE), result=stored("x")),
    ):
        heir.controller.recover(event)
    assert heir.controller.ledger.open == {}


def test_a_single_copy_that_votes_commits_at_once():
    desk, (only,) = voting(replicas=1)
    assert ends(says(desk, only, "x")) == [("a", JobState.SUCCEEDED)]


def test_copies_without_a_digest_say_the_same_nothing():
    desk, (first, second, _) = voting()
    desk.tell(replace(ended(first, desk.at_s, DONE), result=None))
    said = desk.tell(replace(ended(second, desk.at_s, DONE), result=None))
    assert ends(said) == [("a", JobState.SUCCEEDED)]


def test_disagreement_without_digests_is_put_in_words():
    desk, copies = voting(replicas=2, resources=4)
    said = desk.tell(replace(ended(copies[0], desk.at_s, DONE), result=None))
    waiting = copies[1:]
    for digest in ("x", None, "y"):
        copy = waiting.pop(0)
        said = desk.ended(copy, FAILED, "no") if digest is None else says(desk, copy, digest)
        waiting += starts(said)
    (end,) = [command for command in said if isinstance(command, EndJob)]
    assert end.error is not None
    assert "no digest" in end.error
    assert "failed" in end.error


def test_a_faulty_resource_never_commits_a_wrong_result_in_simulated_runs():
    names = [f"r{i}" for i in range(5)]
    arrivals: list[ev.Event] = [ev.ResourceUp(at_s=0.0, resource=Resource(id=name, domain=name)) for name in names]
    arrivals += [
        ev.Submitted(at_s=0.1 * i, job=job(f"j{i}", replicas=3, vote=True), computation=SORT) for i in range(200)
    ]

    def result(start: StartAttempt) -> Stored:
        bad = start.attempt.placement.resource_id == "r1"
        return stored(f"wrong-{start.attempt.id}" if bad else f"right-{start.job.id}")

    backend = SimulatedBackend(lambda start: 1.0, arrivals, result=result, tick_every_s=1.0)
    controller = Controller(MatchingPolicy(), StatedPredictor(), LATENCY)
    committed: dict[str, EndJob] = {}
    for event in backend.events():
        for command in controller.handle(event):
            if isinstance(command, EndJob):
                assert command.job_id not in committed
                committed[command.job_id] = command
            backend.do(command)
    assert {name: end.result.digest for name, end in committed.items() if end.result} == {
        f"j{i}": f"right-j{i}" for i in range(200)
    }
    assert (controller.pool.error_rate("r1") or 0.0) > 0.5


def test_runs_with_the_loop_end_with_every_vote_counted():
    arrivals: list[ev.Event] = [ev.ResourceUp(at_s=0.0, resource=Resource(id=name)) for name in ("r0", "r1")]
    arrivals.append(ev.Submitted(at_s=0.0, job=job("a", replicas=2, vote=True), computation=SORT))
    controller = Controller(MatchingPolicy(), StatedPredictor(), LATENCY)
    run(controller, SimulatedBackend(lambda start: 1.0, arrivals, result=lambda start: stored("x")))
    assert controller.ledger.open == {}
