"""What the simulation of whole histories found once: each mistake again, as small as it gets."""

from dataclasses import replace

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, JobState, Stored
from dnaml.core.resource import Resource
from dnaml.core.work import Computation
from dnaml.schedule.ledger import Vote
from dnaml.schedule.votes import winner
from tests.schedule.doubles import Desk, ended, job, started, starts


def test_a_part_that_waited_while_another_ran_is_in_line_after_a_restart():
    desk = Desk(seconds={"a": 20.0, "b": 20.0})
    desk.up("a", "b")
    work = Computation(id="sort", kernel="sort", divisible=True)
    first, second, *_ = starts(desk.submit(replace(job("j"), max_parts=None), computation=work))
    heir = Desk()
    for event in (
        desk.submitted(first.job, work),
        started(first, 0.0),
        ended(first, 0.0, AttemptState.LOST),
        started(second, 0.0),
        ended(second, 0.0, AttemptState.DONE),
    ):
        heir.controller.recover(event)
    heir.tell(ev.Resumed(at_s=1.0))
    assert [start.attempt.placement.part for start in starts(heir.up("b"))] == [first.attempt.placement.part]


def test_a_resource_that_rested_when_its_engine_died_need_not_come_back():
    desk = Desk(cooldown_s=5.0)
    resource = Resource(id="a")
    for at_s in (0.0, 1.0):
        desk.controller.recover(ev.ResourceUp(at_s=at_s, resource=resource))
        desk.controller.recover(ev.ResourceDown(at_s=at_s, resource_id="a", reason="gone"))
    desk.controller.recover(ev.ResourceUp(at_s=2.0, resource=resource))
    desk.tell(ev.Resumed(at_s=3.0))
    desk.submit("j")
    assert not starts(desk.tick(60.0))
    assert [start.job.id for start in starts(desk.up("a"))] == ["j"]


def test_a_resource_that_votes_twice_counts_once():
    def vote(number: int, place: str, digest: str) -> Vote:
        where = Stored(segment=1, offset=number, size_bytes=1, digest=digest)
        return Vote(attempt_id=f"j.{number}", resource_id=place, digest=digest, error=None, result=where, runtime_s=1.0)

    votes = [vote(1, "liar", "wrong"), vote(2, "liar", "wrong"), vote(3, "a", "true")]
    assert winner(votes, 3) is None
    best = winner([*votes, vote(4, "b", "true")], 3)
    assert best is not None
    assert best.digest == "true"


def test_a_copy_that_votes_does_not_move_to_a_resource_that_has_voted():
    desk = Desk(seconds={"a": 1.0, "b": 5.0, "c": 9.0})
    desk.up("a", "b", "c")
    copies = {s.attempt.placement.resource_id: s for s in starts(desk.submit("j", replicas=3, vote=True))}
    desk.began(*copies.values())
    desk.ended(copies["a"], AttemptState.DONE)
    moved = starts(desk.migrate("j"))
    assert not moved
    assert desk.controller.ledger.open["j"].live.keys() == {copies[name].attempt.id for name in "bc"}
    assert desk.controller.ledger.open["j"].state is JobState.RUNNING
