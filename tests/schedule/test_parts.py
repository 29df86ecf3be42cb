"""Split jobs: parts that end together, each an attempt of its own; a lost one is redone alone, results keep order."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, JobState, Placement, Stored
from dnaml.core.events import EndJob, StartAttempt
from dnaml.core.resource import Resource, Site
from dnaml.core.work import Computation, Constraints, Job, Objective, Resilience
from dnaml.engine import run
from dnaml.execution.simulated import SimulatedBackend
from dnaml.schedule.controller import Controller
from dnaml.schedule.ledger import Entry
from dnaml.schedule.matching import MatchingPolicy
from dnaml.schedule.parts import restore
from tests.schedule.doubles import LATENCY, Desk, StatedPredictor, ended, ends, started, starts, stops, where

MAP = Computation(id="map", kernel="map", divisible=True)
STEPPED = Computation(id="map", kernel="map", divisible=True, checkpointable=True)
DONE, FAILED, LOST, STOPPED = AttemptState.DONE, AttemptState.FAILED, AttemptState.LOST, AttemptState.STOPPED


def wide(name: str = "a", *, max_parts: int | None = None, priority: int = 0, **resilience: object) -> Job:
    return Job(
        id=name,
        computation_id="map",
        submitted_at_s=0.0,
        priority=priority,
        max_parts=max_parts,
        resilience=Resilience(**resilience),  # type: ignore[arg-type]  # fields of Resilience
    )


def split_desk(what: Computation = MAP, **resilience: object) -> tuple[Desk, list[StartAttempt]]:
    """Return a desk on which one job runs in three parts, on resources of 10, 20 and 20 s for the whole."""
    desk = Desk(seconds={"r0": 10.0, "r1": 20.0, "r2": 20.0})
    desk.up("r0", "r1", "r2")
    parts = starts(desk.submit(wide(**resilience), computation=what))
    desk.began(*parts)
    return desk, parts


def test_parts_have_equal_finish_shares_that_adjoin_exactly():
    _, parts = split_desk()
    placements = sorted((part.attempt.placement for part in parts), key=lambda placement: placement.part)
    assert [placement.part for placement in placements] == [0, 1, 2]
    assert {placement.parts for placement in placements} == {3}
    assert {placement.resource_id: placement.share for placement in placements} == pytest.approx(
        {"r0": 0.5, "r1": 0.25, "r2": 0.25}, abs=1e-6
    )
    assert placements[0].start == 0.0
    for one, other in pairwise(placements):
        assert one.start + one.share == other.start
    assert placements[-1].start + placements[-1].share == 1.0
    assert len({part.attempt.epoch for part in parts}) == 3


def test_the_results_of_all_parts_come_in_order_with_the_end():
    desk, parts = split_desk()
    by_part = sorted(parts, key=lambda start: start.attempt.placement.part)
    assert desk.done(by_part[2]) == []
    assert desk.done(by_part[0]) == []
    (end,) = desk.done(by_part[1])
    assert isinstance(end, EndJob)
    assert (end.state, end.result) == (JobState.SUCCEEDED, None)
    assert [stored.digest for stored in end.parts] == [start.attempt.id for start in by_part]


def test_only_the_part_that_was_lost_is_redone_from_its_own_checkpoint():
    desk, parts = split_desk(STEPPED)
    lost, *others = parts
    desk.sealed(lost, 0.5)
    desk.sealed(others[0], 0.9)
    desk.up("r3")
    (again,) = starts(desk.ended(lost, LOST, "gone"))
    before, after = lost.attempt.placement, again.attempt.placement
    assert (after.part, after.start, after.share, after.parts) == (before.part, before.start, before.share, 3)
    assert after.resource_id == "r3"
    assert again.checkpoint is not None
    assert (again.checkpoint.progress, again.checkpoint.attempt_id) == (0.5, lost.attempt.id)
    assert again.attempt.epoch == 4
    desk.done(*others)
    assert ends(desk.done(again)) == [("a", JobState.SUCCEEDED)]


def test_a_part_that_fails_more_often_than_it_may_fails_the_job_and_stops_the_others():
    desk, parts = split_desk(max_restarts=1)
    (again,) = starts(desk.ended(parts[0], FAILED, "ValueError: no"))
    (other,) = starts(desk.ended(parts[1], FAILED, "ValueError: no"))  # its own first failure
    said = desk.ended(again, FAILED, "ValueError: no")
    assert ends(said) == [("a", JobState.FAILED)]
    assert sorted(stops(said)) == sorted([parts[2].attempt.id, other.attempt.id])


def test_a_split_job_that_is_cancelled_ends_with_its_last_part():
    desk, parts = split_desk()
    desk.done(parts[0])
    assert len(stops(desk.cancel("a", running=True))) == 2
    assert desk.ended(parts[1], STOPPED) == []
    assert ends(desk.ended(parts[2], STOPPED)) == [("a", JobState.CANCELLED)]


def test_a_straggling_part_is_raced_alone_and_the_loser_stops():
    desk, parts = split_desk()
    slow, *others = parts
    desk.after(5.0).done(*others)
    desk.progressed(slow, 0.1)
    (copy,) = starts(desk.tick())
    assert copy.attempt.placement.part == slow.attempt.placement.part
    assert copy.attempt.placement.share == slow.attempt.placement.share
    desk.began(copy)
    assert desk.ended(slow, LOST, "gone") == []
    assert ends(desk.done(copy)) == [("a", JobState.SUCCEEDED)]


def test_the_other_copy_of_a_part_that_is_done_is_stopped_while_further_parts_run():
    desk, parts = split_desk()
    slow, waits, other = parts
    desk.after(5.0).done(other)
    desk.progressed(slow, 0.1)
    (copy,) = starts(desk.tick())
    desk.began(copy)
    assert stops(desk.done(copy)) == [slow.attempt.id]
    assert desk.ended(slow, STOPPED) == []
    assert ends(desk.done(waits)) == [("a", JobState.SUCCEEDED)]


@pytest.mark.parametrize(
    ("each", "what"),
    [
        (wide(max_parts=1), MAP),
        (wide(), Computation(id="map", kernel="map")),
        (wide(replicas=2), MAP),
        (Job(id="a", computation_id="map", submitted_at_s=0.0, units=(2, 2), max_parts=None), MAP),
    ],
)
def test_what_may_not_be_split_runs_whole(each, what):
    desk = Desk(seconds={"r0": 10.0, "r1": 10.0})
    desk.up("r0", "r1", slots=2)
    assert {start.attempt.placement.parts for start in starts(desk.submit(each, computation=what))} == {1}


def test_a_job_is_split_only_where_that_pays_under_its_objective():
    cheap = StatedPredictor(seconds={"r0": 10.0, "r1": 10.0}, prices={"r0": 1.0, "r1": 9.0})
    for objective, parts in ((Objective.of("min_cost"), 1), (LATENCY, 2)):
        desk = Desk(predictor=cheap, objective=objective)
        desk.up("r0", "r1")
        assert len(starts(desk.submit(wide(), computation=MAP))) == parts
    desk = Desk(seconds={"r0": 0.01, "r1": 0.01})
    desk.up("r0", "r1")
    assert len(starts(desk.submit(wide(), computation=MAP))) == 1
    desk = Desk(seconds={"r0": 10.0, "r1": 10.0}, splits=False)
    desk.up("r0", "r1")
    assert len(starts(desk.submit(wide(), computation=MAP))) == 1
    free = Desk(predictor=StatedPredictor(seconds={"r0": 10.0, "r1": 10.0}, prices={"r0": 0.0, "r1": 0.0}))
    free.up("r0", "r1")
    assert len(starts(free.submit(wide(), computation=MAP))) == 2


def test_there_are_no_more_parts_than_the_job_allows_or_the_domain_has_cores():
    seconds = {f"r{i}": 10.0 for i in range(8)}
    desk = Desk(seconds=seconds)
    desk.up(*seconds)
    assert len(starts(desk.submit(wide(max_parts=3), computation=MAP))) == 3
    desk = Desk(seconds=seconds, cores={"local": 2})
    desk.up(*seconds)
    assert len(starts(desk.submit(wide(), computation=MAP))) == 2


def test_a_resource_with_several_free_slots_takes_several_parts():
    desk = Desk(seconds={"r0": 10.0})
    desk.up("r0", slots=4)
    parts = starts(desk.submit(wide(), computation=MAP))
    assert [start.attempt.placement.share for start in parts] == [0.25] * 4
    (again,) = starts(desk.began(*parts) + desk.ended(parts[0], LOST, "gone"))
    assert again.attempt.placement.resource_id == "r0"


def test_parts_wait_behind_jobs_of_their_priority_and_go_before_lower_ones():
    desk = Desk(seconds={"r0": 10.0, "r1": 10.0})
    desk.up("r0", "r1")
    running = starts(desk.submit("x", "y"))
    desk.began(*running)
    desk.submit("low", priority=-1)
    desk.submit(wide(), computation=MAP)
    first = starts(desk.after(10.0).done(running[0]))
    second = starts(desk.done(running[1]))
    assert [start.job.id for start in first + second] == ["a", "a"]


def test_parts_that_find_no_room_yet_start_when_there_is_some():
    desk = Desk(seconds={"r0": 10.0, "r1": 10.0})
    desk.up("r0", "r1")
    (other,) = starts(desk.submit("x", constraints=Constraints(resource_ids=("r1",))))
    desk.began(other)
    desk.after(8.0)
    (first,) = starts(desk.submit(wide(), computation=MAP))
    assert first.attempt.placement.parts == 2
    (second,) = starts(desk.after(2.0).done(other))
    assert (second.job.id, second.attempt.placement.part != first.attempt.placement.part) == ("a", True)


def test_a_job_that_has_not_begun_is_split_anew_for_what_is_there_now():
    desk = Desk(seconds={"r0": 10.0, "r1": 10.0, "r2": 10.0})
    desk.up("r0", "r1")
    running = starts(desk.submit("x", "y"))
    desk.began(*running)
    desk.submit(wide(), computation=MAP)
    assert len(desk.controller.ledger.open["a"].parts) == 2
    said = desk.up("r2", slots=2)
    assert len(starts(said)) >= 2
    assert {start.attempt.placement.parts for start in starts(said)} != {1}


def test_stored_events_tell_how_a_job_was_split():
    _, parts = split_desk()
    heir = Desk(seconds={"r0": 10.0, "r1": 20.0, "r2": 20.0})
    by_part = sorted(parts, key=lambda start: start.attempt.placement.part)
    stored = [ev.ResourceUp(at_s=0.0, resource=Resource(id=name)) for name in ("r0", "r1", "r2")]
    events: list[ev.Event] = [*stored, ev.Submitted(at_s=0.0, job=wide(), computation=MAP)]
    events += [started(by_part[2], 1.0), started(by_part[0], 1.0), ended(by_part[0], 5.0, DONE)]
    for event in events:
        assert heir.controller.recover(event) == ()
    heir.tell(ev.Resumed(at_s=9.0))
    again = starts(heir.up("r0", slots=2))
    assert sorted(start.attempt.placement.part for start in again) == [1, 2]
    middle = next(start.attempt.placement for start in again if start.attempt.placement.part == 1)
    assert middle.start == by_part[1].attempt.placement.start
    assert middle.share == by_part[1].attempt.placement.share
    assert ends(heir.done(*again)) == [("a", JobState.SUCCEEDED)]


@given(shares=st.lists(st.integers(1, 1000), min_size=2, max_size=9), order=st.randoms())
def test_parts_restored_in_any_order_cover_the_whole_at_every_moment(shares, order):
    total = sum(shares)
    edges = [0.0, *(round(sum(shares[: k + 1]) / total * 2**20) / 2**20 for k in range(len(shares)))]
    known = [
        Placement(
            job_id="a",
            resource_id="r0",
            part=k,
            parts=len(shares),
            start=edges[k],
            share=edges[k + 1] - edges[k],
        )
        for k in range(len(shares))
    ]
    order.shuffle(known)
    entry = Entry(wide(), MAP, 1)
    for placement in known:
        restore(entry, placement)
        assert math.fsum(part.share for part in entry.parts) == pytest.approx(1.0)
        for one, other in pairwise(entry.parts):
            assert one.start + one.share == other.start
    assert [part.start for part in entry.parts] == edges[:-1]


def test_a_split_job_with_a_lost_part_ends_once_in_the_simulated_engine_and_redoes_only_that():
    arrivals: list[ev.Event] = [
        ev.ResourceUp(at_s=0.0, resource=Resource(id=name, domain=name)) for name in ("r0", "r1", "r2")
    ]
    arrivals += [
        ev.Submitted(at_s=0.0, job=wide(), computation=MAP),
        ev.ResourceDown(at_s=3.0, resource_id="r1", reason="gone"),
    ]
    kept = lambda start: Stored(segment=0, offset=start.attempt.epoch, size_bytes=1, digest=start.attempt.id)  # noqa: E731
    backend = SimulatedBackend(lambda start: 20.0, arrivals, result=kept, tick_every_s=1.0)
    controller = Controller(MatchingPolicy(), StatedPredictor(seconds=dict.fromkeys(("r0", "r1", "r2"), 20.0)), LATENCY)
    log: list[ev.Event] = []
    run(controller, backend, log.append)
    assert controller.ledger.open == {}
    over = [(e.attempt_id, e.outcome) for e in log if isinstance(e, ev.AttemptEnded)]
    assert [outcome for _, outcome in over].count(LOST) == 1
    assert [outcome for _, outcome in over].count(DONE) == 3
    assert len(over) == 4


def test_gangs_start_all_at_once_or_not_at_all():
    desk = Desk(seconds={"r0": 10.0})
    desk.up("r0", slots=4)
    (single,) = starts(desk.submit("single"))
    gang = Job(id="gang", computation_id="sort", submitted_at_s=0.0, units=(4, 4))
    assert starts(desk.submit(gang)) == []
    assert starts(desk.submit("late")) == []  # it stands behind the gang
    said = desk.after(1.0).done(single)
    assert where(said) == [("gang.1", "r0")]
    (start,) = starts(said)
    lane = desk.controller.pool.lanes["r0"]
    assert (lane.used, start.attempt.placement.units) == (4, 4)
    assert starts(desk.submit("more")) == []
    assert len(starts(desk.done(start))) == 2
    assert desk.controller.pool.lanes["r0"].used == 2


def test_copies_of_a_gang_start_each_when_there_is_room_for_all_of_it():
    desk = Desk(seconds={"r0": 10.0, "r1": 10.0})
    desk.up("r0", "r1", slots=2)
    single = starts(desk.submit("x", "y"))
    gang = Job(id="gang", computation_id="sort", submitted_at_s=0.0, units=(2, 2), resilience=Resilience(replicas=2))
    assert starts(desk.submit(gang)) == []
    assert len(starts(desk.done(single[0]))) == 1
    assert len(starts(desk.done(single[1]))) == 1


def test_a_gang_that_moves_waits_for_room_for_all_of_it():
    desk = Desk(seconds={"r0": 10.0, "r1": 10.0})
    desk.up("r0", "r1", slots=2)
    gang = Job(id="gang", computation_id="sort", submitted_at_s=0.0, units=(2, 2))
    (start,) = starts(desk.submit(gang))
    desk.began(start)
    away = "r1" if start.attempt.placement.resource_id == "r0" else "r0"
    (other,) = starts(desk.submit("x", constraints=Constraints(resource_ids=(away,))))
    assert starts(desk.migrate("gang", away)) == []
    assert where(desk.done(other)) == [("gang.2", away)]


def test_the_start_of_a_function_that_is_called_counts_once():
    desk = Desk(seconds={"f0": 10.0, "f1": 10.0})
    desk.up(*(Resource(id=name, site=Site.SERVERLESS, startup_s=1.0) for name in ("f0", "f1")))
    parts = starts(desk.submit(wide(), computation=MAP))
    assert sorted(part.attempt.placement.share for part in parts) == [0.5, 0.5]
