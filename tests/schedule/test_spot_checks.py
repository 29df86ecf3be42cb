"""Spot checks: some committed results are computed again elsewhere; who differs loses trust, all else stays."""

from dataclasses import replace

from dnaml.core.attempt import AttemptState, JobState
from dnaml.core.events import Command, StartAttempt, WakeAt
from dnaml.core.work import Computation
from dnaml.schedule.spot_checks import is_drawn
from tests.schedule.doubles import Desk, StatedPredictor, ended, ends, starts, stops
from tests.schedule.test_votes import stored

DONE, FAILED, LOST, STOPPED = AttemptState.DONE, AttemptState.FAILED, AttemptState.LOST, AttemptState.STOPPED


def says(desk: Desk, start: StartAttempt, digest: str) -> list[Command]:
    return desk.tell(replace(ended(start, desk.at_s, DONE), result=stored(digest)))


def checked(resources: int = 4, **settings: object) -> tuple[Desk, StartAttempt, list[Command]]:
    """Return a desk on which one job committed x, and what was said to that."""
    desk = Desk(spot_check_share=1.0, learn_every_s=1e9, **settings)
    for i in range(resources):
        desk.up(f"r{i}", domain="here" if i < 2 else "there")
    (first,) = starts(desk.submit("a"))
    desk.began(first)
    return desk, first, says(desk, first, "x")


def test_a_committed_job_runs_once_more_in_another_domain_after_its_end():
    desk, first, said = checked()
    assert ends(said) == [("a", JobState.SUCCEEDED)]
    (check,) = starts(said)
    assert (check.attempt.id, check.checkpoint, check.attempt.placement.checkpoint_every_s) == ("a.2", None, None)
    assert (first.attempt.placement.resource_id, check.attempt.placement.resource_id) == ("r0", "r2")
    assert check.decision.policy == "matching/check"
    assert desk.began(check) == []
    assert says(desk, check, "x") == []
    assert [desk.controller.pool.error_rate(name) for name in ("r0", "r2")] == [0.0, 0.0]
    assert (desk.controller.ledger.open, desk.controller.ledger.attempts) == ({}, {})


def test_a_difference_doubts_both_until_a_third_run_decides():
    for third_says, guilty in (("x", "r2"), ("y", "r0")):
        desk, _, said = checked()
        (second,) = starts(said)
        (third,) = starts(says(desk, second, "y"))
        pool = desk.controller.pool
        assert [pool.error_rate(name) for name in ("r0", "r2")] == [1.0, 1.0]
        assert third.attempt.placement.resource_id not in ("r0", "r2")
        assert says(desk, third, third_says) == []
        assert {name: pool.error_rate(name) for name in ("r0", "r2")} == {
            name: 1.0 if name == guilty else 0.0 for name in ("r0", "r2")
        }
        (wrong,) = [run for run in desk.controller._planner._runs if run.failed]
        assert wrong.resource.id == guilty


def test_a_computation_whose_results_always_differ_is_checked_no_more():
    desk, _, said = checked()
    (second,) = starts(said)
    (third,) = starts(says(desk, second, "y"))
    assert says(desk, third, "z") == []
    assert [desk.controller.pool.error_rate(name) for name in ("r0", "r2")] == [0.0, 0.0]
    (again,) = starts(desk.submit("b"))
    assert starts(says(desk, again, "w")) == []


def test_a_check_that_ends_for_other_reasons_says_nothing():
    for outcome in (LOST, STOPPED, AttemptState.CANCELLED):
        desk, _, said = checked()
        (second,) = starts(said)
        assert desk.ended(second, outcome, "gone") == []
        assert starts(desk.tick(1.0)) == []
    desk, _, said = checked()
    (second,) = starts(said)
    (third,) = starts(desk.ended(second, FAILED, "ValueError"))
    assert says(desk, third, "x") == []
    assert (desk.controller.pool.error_rate("r2") or 0.0) == 1.0


def test_doubt_stays_where_no_third_resource_can_decide():
    desk, _, said = checked(resources=2)
    (second,) = starts(said)
    assert says(desk, second, "y") == []
    assert [desk.controller.pool.error_rate(name) for name in ("r0", "r1")] == [1.0, 1.0]


def test_a_job_is_not_checked_where_there_is_no_other_resource_or_it_voted_or_was_not_drawn():
    _, _, said = checked(resources=1)
    assert starts(said) == []
    desk = Desk(spot_check_share=1.0)
    desk.up("r0", "r1", "r2")
    copies = starts(desk.submit("a", replicas=2))
    desk.began(*copies)
    assert starts(desk.done(copies[0])) == []
    desk = Desk(spot_check_share=1.0)
    desk.up("r0", "r1")
    (start,) = starts(desk.submit("a"))
    assert starts(desk.tell(replace(ended(start, 0.0, DONE), result=None))) == []
    desk = Desk(spot_check_share=1e-9, spot_check_first=0)
    desk.up("r0", "r1")
    (start,) = starts(desk.submit("a"))
    assert starts(desk.done(start)) == []


def test_a_check_takes_part_in_nothing_that_concerns_open_jobs():
    desk, _, said = checked()
    (check,) = starts(said)
    desk.began(check)
    assert desk.sealed(check, 0.5) == []
    assert desk.cancel("a", running=True) == []
    assert desk.migrate("a") == []
    assert stops(desk.tick(1e4)) == []
    said = desk.notice(check.attempt.placement.resource_id, 1.0)
    assert not [command for command in said if not isinstance(command, WakeAt)]


def test_a_failed_job_is_not_checked():
    desk = Desk(spot_check_share=1.0)
    desk.up("r0", "r1")
    (start,) = starts(desk.submit("a", computation=Computation(id="sort", kernel="sort")))
    assert starts(desk.ended(start, FAILED, "ValueError")) == []


def test_the_share_that_is_drawn_is_as_wanted_and_depends_on_the_seed():
    names = [f"job-{i}" for i in range(4000)]
    drawn = {name for name in names if is_drawn(name, 1, 0.2)}
    assert 0.17 < len(drawn) / len(names) < 0.23
    assert drawn != {name for name in names if is_drawn(name, 2, 0.2)}
    assert all(is_drawn(name, 1, 1.0) for name in names)


def test_all_that_a_resource_does_is_checked_until_enough_was_confirmed_and_again_after_it_was_wrong():
    desk = Desk(
        predictor=StatedPredictor(seconds={"r0": 1.0, "r1": 2.0, "r2": 3.0}),
        spot_check_share=0.5,
        spot_check_first=1,
        learn_every_s=1e9,
    )
    desk.up("r0", "r1", "r2")
    names = [f"job-{i}" for i in range(40)]
    drawn = [name for name in names if is_drawn(name, 0, 0.5)]
    passed_over = [name for name in names if name not in drawn]

    def checkers(name: str, *say: str) -> list[str]:
        """Let r0 say x and those who check it what they say; return who they were."""
        (start,) = starts(desk.submit(name))
        assert start.attempt.placement.resource_id == "r0"
        found, asked = starts(says(desk, start, "x")), list[str]()
        for what in say:
            asked.append(found[0].attempt.placement.resource_id)
            found = starts(says(desk, found[0], what))
        assert not found
        return asked

    assert checkers(passed_over[0], "x") == ["r1"]
    assert checkers(passed_over[1]) == []
    assert checkers(drawn[0], "y", "y") == ["r1", "r2"]
    assert checkers(passed_over[2], "x") == ["r1"]
    assert checkers(passed_over[3]) == []
