"""The ledger: who waits in which order, what a user sees of a job, and what an attempt may become."""

import pytest

from dnaml.core.attempt import Attempt, AttemptState, JobState, Placement
from dnaml.core.errors import TransitionError
from dnaml.core.work import Computation
from dnaml.schedule.ledger import Entry, Ledger
from tests.schedule.doubles import job

SORT = Computation(id="sort", kernel="sort")


def entry_with_attempt(state: AttemptState = AttemptState.STARTING) -> Entry:
    entry = Entry(job("a"), SORT, 1, epoch=1)
    placement = Placement(job_id="a", resource_id="r0")
    entry.live["a.1"] = Attempt(id="a.1", epoch=1, job_id="a", computation_id="sort", placement=placement, state=state)
    return entry


def taken(ledger: Ledger, count: int) -> list[str]:
    return [entry.job.id for entry in ledger.take(count)]


def test_jobs_wait_by_priority_and_then_by_arrival():
    ledger = Ledger()
    for name, priority in (("a", 0), ("b", 1), ("c", 0), ("d", 1)):
        ledger.add(job(name, priority=priority), SORT)
    assert len(ledger) == 4
    assert taken(ledger, 3) == ["b", "d", "a"]
    assert taken(ledger, 3) == ["c"]
    assert taken(ledger, 3) == []


def test_a_job_that_recovers_keeps_its_turn():
    ledger = Ledger()
    first = ledger.add(job("a"), SORT)
    ledger.add(job("b"), SORT)
    assert first is not None
    assert taken(ledger, 1) == ["a"]
    ledger.wait(first)
    assert taken(ledger, 2) == ["a", "b"]


def test_an_open_job_is_taken_in_once():
    ledger = Ledger()
    assert ledger.add(job("a"), SORT) is not None
    assert ledger.add(job("a", priority=5), SORT) is None
    assert ledger.open["a"].job.priority == 0
    assert taken(ledger, 2) == ["a"]


def test_standing_in_line_twice_is_standing_once():
    ledger = Ledger()
    entry = ledger.add(job("a"), SORT)
    ledger.wait(entry)
    assert len(ledger) == 1
    assert taken(ledger, 5) == ["a"]


def test_a_job_that_left_the_line_is_not_taken_and_may_come_back():
    ledger = Ledger()
    first, _ = ledger.add(job("a"), SORT), ledger.add(job("b"), SORT)
    ledger.leave_line(first)
    assert len(ledger) == 1
    assert taken(ledger, 5) == ["b"]
    ledger.wait(first)
    assert taken(ledger, 5) == ["a"]


def test_the_first_priority_is_that_of_who_still_waits():
    ledger = Ledger()
    assert ledger.first_priority() is None
    urgent = ledger.add(job("a", priority=7), SORT)
    ledger.add(job("b", priority=-2), SORT)
    assert ledger.first_priority() == 7
    ledger.leave_line(urgent)
    assert ledger.first_priority() == -2
    assert taken(ledger, 1) == ["b"]
    assert ledger.first_priority() is None


def test_a_job_that_ended_is_closed_and_waits_no_more():
    ledger = Ledger()
    entry = ledger.add(job("a"), SORT)
    ledger.end(entry)
    assert entry.over
    assert (ledger.open, len(ledger), ledger.ended) == ({}, 0, 1)
    assert taken(ledger, 1) == []


def test_a_user_sees_pending_then_running_then_recovering():
    entry = Entry(job("a"), SORT, 1)
    assert entry.state is JobState.PENDING
    entry = entry_with_attempt()
    assert entry.state is JobState.RUNNING
    entry.live.clear()
    assert entry.state is JobState.RECOVERING


def test_an_attempt_moves_as_the_table_allows():
    entry = entry_with_attempt()
    moved = entry.move("a.1", AttemptState.RUNNING, started_at_s=3.0)
    assert (moved.state, moved.started_at_s) == (AttemptState.RUNNING, 3.0)
    assert entry.live["a.1"] is moved


def test_a_move_that_the_table_forbids_raises_and_changes_nothing():
    entry = entry_with_attempt()
    with pytest.raises(TransitionError, match=r"attempt a.1: starting -> done is not allowed"):
        entry.move("a.1", AttemptState.DONE)
    assert entry.live["a.1"].state is AttemptState.STARTING
