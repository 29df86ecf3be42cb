"""Jobs that run as several copies: the first result wins, the others are stopped, their late ends free their slots."""

from dnaml.core.attempt import AttemptState, JobState
from tests.schedule.doubles import Desk, ended, ends, starts, stops, where

LOST, FAILED, DONE, STOPPED = AttemptState.LOST, AttemptState.FAILED, AttemptState.DONE, AttemptState.STOPPED


def two_copies() -> tuple[Desk, list]:
    desk = Desk()
    desk.up("r0", "r1")
    copies = starts(desk.submit("a", replicas=2))
    desk.began(*copies)
    return desk, copies


def test_copies_start_on_resources_of_their_own_with_epochs_of_their_own():
    _, copies = two_copies()
    assert where(copies) in ([("a.1", "r0"), ("a.2", "r1")], [("a.1", "r1"), ("a.2", "r0")])
    assert [copy.attempt.epoch for copy in copies] == [1, 2]


def test_the_first_result_wins_and_the_others_are_asked_to_stop():
    desk, (first, second) = two_copies()
    said = desk.done(second)
    assert ends(said) == [("a", JobState.SUCCEEDED)]
    assert stops(said) == [first.attempt.id]


def test_late_ends_of_other_copies_free_their_slots_and_end_nothing_twice():
    for late in (STOPPED, DONE, FAILED, LOST):
        desk, (first, second) = two_copies()
        desk.done(second)
        waiting = starts(desk.submit("b", "c"))
        assert [start.attempt.placement.resource_id for start in waiting] == [second.attempt.placement.resource_id]
        said = desk.ended(first, late)
        assert ends(said) == []
        assert [start.attempt.placement.resource_id for start in starts(said)] == [first.attempt.placement.resource_id]


def test_results_of_one_moment_end_a_job_once():
    desk, copies = two_copies()
    said = desk.tell(*(ended(copy, 1.0, DONE) for copy in copies))
    assert ends(said) == [("a", JobState.SUCCEEDED)]


def test_a_copy_that_was_still_starting_when_another_won_is_stopped_once_it_began():
    desk = Desk()
    desk.up("r0", "r1")
    first, second = starts(desk.submit("a", replicas=2))
    desk.began(first)
    assert stops(desk.done(first)) == [second.attempt.id]
    assert stops(desk.began(second)) == [second.attempt.id]
    assert desk.sealed(second, 0.5) == []
    assert desk.ended(second, STOPPED) == []


def test_the_end_of_one_copy_leaves_the_job_to_the_other():
    for outcome in (LOST, FAILED):
        desk, (first, second) = two_copies()
        assert desk.ended(first, outcome, "no luck") == []
        assert ends(desk.done(second)) == [("a", JobState.SUCCEEDED)]


def test_a_job_fails_when_the_last_of_its_copies_ends_and_its_restarts_are_used_up():
    for last in (FAILED, LOST):
        desk, (first, second) = two_copies()
        desk.ended(first, FAILED, "ValueError: no")
        assert ends(desk.ended(second, last, "ValueError: no")) == [("a", JobState.FAILED)]


def test_a_job_starts_again_with_all_copies_when_all_were_lost():
    desk, (first, second) = two_copies()
    desk.ended(first, LOST, "gone")
    again = starts(desk.ended(second, LOST, "gone"))
    assert [start.attempt.id for start in again] == ["a.3", "a.4"]
    assert len({start.attempt.placement.resource_id for start in again}) == 2


def test_copies_that_find_no_room_at_once_start_when_there_is_some():
    desk = Desk()
    desk.up("r0", "r1")
    (other,) = starts(desk.submit("other"))
    (first,) = starts(desk.submit("a", replicas=2))
    (second,) = starts(desk.after(1.0).done(other))
    assert (first.attempt.id, second.attempt.id) == ("a.1", "a.2")
    assert first.attempt.placement.resource_id != second.attempt.placement.resource_id


def test_a_copy_planned_anew_goes_where_no_copy_of_the_job_runs():
    desk = Desk(seconds={"r0": 1.0, "r1": 5.0})
    desk.up("r0", slots=4)
    (first,) = starts(desk.submit("a", replicas=2))
    assert starts(desk.submit("b")) != []
    (second,) = starts(desk.up("r1"))
    assert (first.attempt.placement.resource_id, second.attempt.placement.resource_id) == ("r0", "r1")


def test_no_copy_starts_once_the_job_was_asked_to_stop():
    desk = Desk()
    desk.up("r0", "r1")
    (other,) = starts(desk.submit("other"))
    (first,) = starts(desk.submit("a", replicas=2))
    assert stops(desk.cancel("a", running=True)) == [first.attempt.id]
    assert starts(desk.done(other)) == []
    assert ends(desk.ended(first, STOPPED)) == [("a", JobState.CANCELLED)]


def test_a_job_asked_to_stop_ends_with_the_last_of_its_copies():
    desk, (first, second) = two_copies()
    assert sorted(stops(desk.cancel("a", running=True))) == ["a.1", "a.2"]
    assert desk.ended(first, STOPPED) == []
    assert ends(desk.ended(second, STOPPED)) == [("a", JobState.CANCELLED)]


def test_losing_a_copy_while_the_window_is_full_adds_no_copy_beyond_those_asked_for():
    desk = Desk(window_jobs=2)
    desk.up("r0", "r1")
    (other,) = starts(desk.submit("other"))
    (first,) = starts(desk.submit("a", replicas=2))
    desk.submit("b", "c", "d")
    desk.ended(first, LOST, "gone")
    desk.done(other)
    for _ in range(12):
        running = [start for start in starts(desk.said) if start.attempt.id in desk.controller.ledger.attempts]
        assert sum(start.job.id == "a" for start in running) <= 2
        for start in running[:1]:
            desk.after(1.0).done(start)
