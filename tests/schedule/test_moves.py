"""Work that moves: asked for, warned, or because it pays; the source keeps its place until the target has begun."""

import pytest

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, JobState
from dnaml.core.resource import Resource, ResourceState
from dnaml.core.work import Computation, Constraints, Objective
from dnaml.engine import run
from dnaml.execution.simulated import Fate, SimulatedBackend
from dnaml.schedule.controller import Controller
from dnaml.schedule.matching import MatchingPolicy
from tests.schedule.doubles import (
    LATENCY,
    Desk,
    StatedPredictor,
    ended,
    ends,
    job,
    reasons,
    seals,
    starts,
    stops,
    where,
)

STEPPED = Computation(id="train", kernel="train", checkpointable=True)
LOST, STOPPED, CANCELLED = AttemptState.LOST, AttemptState.STOPPED, AttemptState.CANCELLED


def running(what: Computation | None = STEPPED, predictor: StatedPredictor | None = None, **settings: object):
    """Return a desk on which one job runs on r0, with r1 beside it."""
    desk = Desk(predictor=predictor or StatedPredictor(seconds={"r0": 100.0, "r1": 120.0}), **settings)
    desk.up("r0", domain="here")
    desk.up("r1", domain="there")
    (start,) = starts(desk.submit("a", computation=what))
    assert start.attempt.placement.resource_id == "r0"
    desk.began(start)
    desk.after(10.0)
    return desk, start


def test_a_move_seals_first_then_starts_at_the_target_and_stops_the_source_last():
    desk, source = running()
    said = desk.migrate("a", "r1")
    assert (seals(said), starts(said), stops(said)) == (["a.1"], [], [])
    said = desk.sealed(source, 0.1)
    assert (where(said), stops(said)) == ([("a.2", "r1")], [])
    (target,) = starts(said)
    assert target.checkpoint is not None
    assert target.checkpoint.progress == target.attempt.progress == 0.1
    assert target.decision.policy == "matching/move"
    assert target.decision.chosen == "r1"
    assert stops(desk.began(target)) == []
    assert stops(desk.progressed(source, 0.15)) == []
    assert stops(desk.progressed(target, 0.2)) == ["a.1"]
    assert desk.ended(source, STOPPED, "moved") == []
    assert ends(desk.done(target)) == [("a", JobState.SUCCEEDED)]


def test_what_cannot_be_saved_starts_anew_at_the_target_at_once():
    desk, source = running(None)
    said = desk.migrate("a")
    assert (seals(said), where(said)) == ([], [("a.2", "r1")])
    desk.began(*starts(said))
    assert [stops(desk.tick(1.0)) for _ in range(3)] == [[], [], ["a.1"]]
    assert desk.ended(source, STOPPED) == []


@pytest.mark.parametrize("progressed", [False, True])
def test_a_target_that_began_and_never_lived_leaves_the_source_undisturbed(progressed):
    desk, source = running()
    desk.migrate("a", "r1")
    (target,) = starts(desk.sealed(source, 0.1))
    desk.began(target)
    desk.tick(1.0)
    assert stops(desk.ended(target, LOST, "its process could not start")) == []
    assert stops(desk.tick(10.0)) == []
    if progressed:
        desk.progressed(source, 0.5)
    assert ends(desk.done(source)) == [("a", JobState.SUCCEEDED)]


def test_a_move_waits_so_many_ticks_for_a_checkpoint_and_then_goes_on_from_the_newest():
    desk, source = running(seal_ticks=3)
    desk.sealed(source, 0.05)
    desk.migrate("a", "r1")
    assert [where(desk.tick(1.0)) for _ in range(3)] == [[], [], [("a.2", "r1")]]
    assert starts(desk.said)[-1].checkpoint.progress == 0.05
    assert where(desk.sealed(source, 0.2)) == []


@pytest.mark.parametrize("outcome", [LOST, CANCELLED])
def test_a_target_that_is_refused_leaves_the_source_undisturbed(outcome):
    desk, source = running()
    desk.migrate("a", "r1")
    (target,) = starts(desk.sealed(source, 0.1))
    refused = ended(target, desk.at_s, outcome, "refused", began=False)
    assert desk.tell(refused) == []
    assert ends(desk.done(source)) == [("a", JobState.SUCCEEDED)]


def test_a_source_that_dies_while_its_target_starts_loses_nothing_but_its_place():
    desk, source = running()
    desk.migrate("a", "r1")
    (target,) = starts(desk.sealed(source, 0.1))
    assert desk.down_with("r0", source) == []
    assert stops(desk.began(target)) == []
    assert ends(desk.done(target)) == [("a", JobState.SUCCEEDED)]


def test_a_source_that_dies_before_it_sealed_is_placed_as_any_lost_attempt():
    desk, source = running()
    desk.migrate("a", "r1")
    assert where(desk.down_with("r0", source)) == [("a.2", "r1")]
    assert desk.tick(30.0) == []


def test_whoever_has_the_result_first_commits_it_once():
    desk, source = running()
    desk.migrate("a", "r1")
    (target,) = starts(desk.sealed(source, 0.1))
    said = desk.done(source)
    assert (ends(said), stops(said)) == ([("a", JobState.SUCCEEDED)], ["a.2"])
    assert ends(desk.done(target)) == []


def test_a_move_to_a_resource_that_is_full_waits_for_room_while_the_source_goes_on():
    desk, source = running()
    (other,) = starts(desk.submit("b", constraints=Constraints(resource_ids=("r1",))))
    desk.migrate("a", "r1")
    assert starts(desk.sealed(source, 0.1)) == []
    assert where(desk.done(other)) == [("a.2", "r1")]


def test_a_move_to_a_resource_that_went_away_is_given_up():
    desk, source = running()
    desk.migrate("a", "r1")
    desk.down("r1")
    desk.tick(1.0)
    desk.up("r1")
    assert starts(desk.sealed(source, 0.1)) == []


def test_a_cancelled_job_does_not_go_on_anywhere():
    desk, source = running()
    (other,) = starts(desk.submit("b", constraints=Constraints(resource_ids=("r1",))))
    desk.migrate("a", "r1")
    desk.sealed(source, 0.1)
    assert stops(desk.cancel("a", running=True)) == ["a.1"]
    assert starts(desk.done(other)) == []
    assert reasons(desk.migrate("a", "r1")) == [("a", "it cannot move: nothing of it is running")]


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("r9", "it cannot move: there is no resource r9"),
        ("r0", "it cannot move: it runs on r0 already"),
        ("small", "it cannot move: needs 4.0 GiB, small has 1.0 GiB"),
    ],
)
def test_a_move_that_cannot_be_made_is_explained(target, why):
    big = Computation(id="train", kernel="train", checkpointable=True, memory_bytes=2**32)
    desk, _ = running(big)
    desk.up(Resource(id="small", memory_bytes=2**30))
    assert reasons(desk.migrate("a", target)) == [("a", why)]


def test_a_move_without_any_other_resource_is_explained_and_one_under_way_is_not_made_twice():
    desk, _ = running()
    assert seals(desk.migrate("a")) == ["a.1"]
    assert reasons(desk.migrate("a")) == [("a", "it cannot move: nothing of it is running")]
    alone = Desk()
    alone.up("r0")
    (start,) = starts(alone.submit("a"))
    alone.began(start)
    assert reasons(alone.migrate("a")) == [("a", "it cannot move: no other resource may take it")]
    assert alone.migrate("never") == []


def test_a_notice_moves_what_would_not_end_in_time_and_nothing_new_starts_there():
    desk, source = running()
    said = desk.notice("r0", 30.0)
    assert seals(said) == ["a.1"]
    assert where(desk.submit("b")) == []  # the only place of r1 is kept for what has to leave
    assert where(desk.up("r2", domain="here")) == [("b.1", "r2")]
    assert where(desk.sealed(source, 0.1)) == [("a.2", "r1")]
    assert desk.notice("never", 1.0) == []


def test_a_notice_leaves_what_ends_in_time_and_what_has_nowhere_to_go():
    desk, _ = running()
    assert seals(desk.notice("r0", 95.0)) == []
    alone = Desk(predictor=StatedPredictor(seconds={"r0": 100.0}))
    alone.up("r0")
    (start,) = starts(alone.submit("a", computation=STEPPED))
    alone.began(start)
    assert seals(alone.notice("r0", 5.0)) == []
    alone.cancel("a", running=True)
    assert seals(alone.notice("r0", 5.0)) == []


def test_a_resource_that_outlived_its_notice_or_came_back_takes_work_again():
    desk, _ = running()
    desk.notice("r0", 30.0)
    desk.up("r0")
    assert desk.controller.pool.lanes["r0"].closed
    desk.after(31.0).up("r0")
    assert not desk.controller.pool.lanes["r0"].closed
    desk.notice("r0", 30.0)
    desk.down("r0")
    desk.up("r0")
    assert not desk.controller.pool.lanes["r0"].closed


def test_running_work_moves_to_a_better_offer_and_not_to_and_fro():
    desk, source = running()
    assert seals(desk.tick(1.0)) == []
    desk.predictor = StatedPredictor(seconds={"r0": 100.0, "r1": 120.0, "fast": 10.0})
    desk.controller._planner.switch(desk.predictor)
    desk.up("fast")
    assert seals(desk.tick(1.0)) == ["a.1"]
    (target,) = starts(desk.sealed(source, 0.1))
    assert target.attempt.placement.resource_id == "fast"
    desk.began(target)
    desk.ended(source, STOPPED)
    desk.controller._planner.switch(StatedPredictor(seconds={"fast": 3000.0, "r0": 20.0}))
    desk.tell(ev.ModelChanged(at_s=desk.at_s, model="m"))
    assert seals(desk.tick(1.0)) == []
    desk.after(600.0).up("other")
    assert seals(desk.tick(1.0)) == ["a.2"]


def test_a_price_that_rises_tenfold_moves_work_once_and_waiting_work_is_costed_anew():
    predictor = StatedPredictor(seconds={"r0": 100.0, "r1": 110.0}, prices={"r0": 1.0, "r1": 1.1})
    desk, _ = running(predictor=predictor, objective=Objective.of("min_cost"))
    desk.controller._planner.switch(StatedPredictor(seconds=predictor.seconds, prices={"r0": 10.0, "r1": 1.1}))
    state = ResourceState(resource_id="r0", at_s=desk.at_s, price_usd_per_h=36000.0)
    desk.tell(ev.ResourceRefreshed(at_s=desk.at_s, state=state))
    assert desk.controller.pool.lanes["r0"].resource.price_usd_per_h == 36000.0
    assert seals(desk.said) == ["a.1"]
    assert seals(desk.tick(1.0)) == []


def test_what_runs_at_a_price_that_rose_is_moved_before_what_waits_takes_its_place():
    predictor = StatedPredictor(seconds={"r0": 100.0, "r1": 100.0}, prices={"r0": 1.0, "r1": 2.0})
    desk = Desk(predictor=predictor, objective=Objective(cost=1, latency=0, resilience=0))
    desk.up("r0", "r1")
    (source,) = starts(desk.submit("a", computation=STEPPED))
    desk.began(source)
    assert where(desk.after(10.0).submit("b", computation=STEPPED)) == []  # it waits for the cheap one
    desk.controller._planner.switch(StatedPredictor(seconds=predictor.seconds, prices={"r0": 10.0, "r1": 2.0}))
    state = ResourceState(resource_id="r0", at_s=desk.at_s, price_usd_per_h=36000.0)
    said = desk.tell(ev.ResourceRefreshed(at_s=desk.at_s, state=state))
    assert (seals(said), where(said)) == (["a.1"], [])
    (target,) = starts(desk.sealed(source, 0.1))
    assert target.attempt.placement.resource_id == "r1"
    desk.began(target)
    assert stops(desk.progressed(target, 0.2)) == ["a.1"]
    assert where(desk.ended(source, STOPPED, "moved")) == []
    assert where(desk.done(target)) == [("b.1", "r1")]


def test_a_place_that_was_kept_for_a_move_is_free_again_when_its_source_ends_first():
    desk, source = running()
    desk.migrate("a", "r1")
    desk.up("r2")
    desk.down("r2")
    assert where(desk.submit("b")) == []
    assert where(desk.done(source))[0][0] == "b.1"
    assert desk.controller._dispatch.errands.held("r1") == 0


def test_an_engine_that_begins_anew_keeps_no_place_for_a_move_of_before():
    desk, _ = running()
    desk.migrate("a", "r1")
    assert desk.controller._dispatch.errands.held("r1") == 1
    desk.tell(ev.Resumed(at_s=desk.at_s))
    assert desk.controller._moves.handovers.open == {}
    assert desk.controller._dispatch.errands.held("r1") == 0


def test_work_that_is_nearly_done_or_may_not_be_saved_stays():
    for what, progress in ((STEPPED, 0.99), (Computation(id="sort", kernel="sort"), 0.1)):
        desk, source = running(what)
        desk.progressed(source, progress)
        desk.controller._planner.switch(StatedPredictor(seconds={"fast": 0.001, "r0": 100.0}))
        desk.up("fast")
        assert seals(desk.tick(1.0)) == []


def test_offers_are_weighed_for_what_still_runs_where_it_is_known():
    desk, source = running()
    desk.up("r2")
    desk.done(source)
    assert desk.tick(1.0) == []
    desk, source = running()
    desk.up("r2")
    desk.down("r0")
    assert desk.tick(1.0) == []
    alone = Desk(predictor=StatedPredictor(seconds={"r0": 100.0}))
    alone.up("r0")
    (start,) = starts(alone.submit("a", computation=STEPPED))
    alone.began(start)
    assert alone.tick(1.0) == []


def test_many_offers_are_weighed_over_several_ticks_and_what_ended_meanwhile_is_passed_over():
    names = [f"r{i}" for i in range(20)]
    desk = Desk(predictor=StatedPredictor(seconds=dict.fromkeys(names, 100.0)))
    desk.up(*names)
    begun = starts(desk.submit(*(f"j{i}" for i in range(20)), computation=STEPPED))
    desk.began(*begun)
    desk.tick(1.0)
    desk.done(*begun[16:])
    assert desk.tick(1.0) == []
    assert desk.controller._moves._offers == []


def test_where_nothing_has_a_price_time_alone_decides_about_a_move():
    free = dict.fromkeys(("r0", "r1", "fast"), 0.0)
    desk, _ = running(predictor=StatedPredictor(seconds={"r0": 100.0, "r1": 120.0}, prices=free))
    desk.controller._planner.switch(StatedPredictor(seconds={"r0": 100.0, "r1": 120.0, "fast": 10.0}, prices=free))
    desk.up("fast")
    assert seals(desk.tick(1.0)) == ["a.1"]


def test_the_simulated_engine_moves_work_and_commits_it_once():
    at = StatedPredictor(seconds={"r0": 100.0, "r1": 100.0})
    backend = SimulatedBackend(
        lambda start: 100.0,
        [
            ev.ResourceUp(at_s=0.0, resource=Resource(id="r0", domain="here")),
            ev.Submitted(at_s=0.0, job=job("a", kernel="train", checkpoint_every_s=1000.0), computation=STEPPED),
            ev.ResourceUp(at_s=1.0, resource=Resource(id="r1", domain="there")),
            ev.InterruptionNotice(at_s=50.0, resource_id="r0", gone_at_s=80.0, reason="spot"),
            ev.ResourceDown(at_s=80.0, resource_id="r0", reason="spot"),
        ],
        tick_every_s=1.0,
        write_s=2.0,
        startup_s=0.5,
    )
    log: list[ev.Event] = []
    controller = Controller(MatchingPolicy(), at, LATENCY)
    run(controller, backend, log.append)
    assert controller.ledger.open == {}
    done = [event for event in log if isinstance(event, ev.AttemptEnded)]
    assert [(event.attempt_id, event.outcome) for event in done] == [
        ("a.1", STOPPED),
        ("a.2", AttemptState.DONE),
    ]
    assert done[0].at_s == 55.0  # the target began at 52.5 and told of nothing, so it was given three ticks
    assert done[1].at_s == pytest.approx(103.0)


def test_a_target_that_the_back_end_refuses_costs_the_source_nothing():
    at = StatedPredictor(seconds={"r0": 10.0, "r1": 10.0})
    backend = SimulatedBackend(
        lambda start: 10.0,
        [
            ev.ResourceUp(at_s=0.0, resource=Resource(id="r0")),
            ev.Submitted(at_s=0.0, job=job("a"), computation=Computation(id="sort", kernel="sort")),
            ev.ResourceUp(at_s=1.0, resource=Resource(id="r1")),
            ev.MigrateRequested(at_s=2.0, job_id="a", resource_id="r1"),
        ],
        fate=lambda start: Fate(outcome=LOST, began=False) if start.attempt.epoch == 2 else None,
        tick_every_s=1.0,
    )
    log: list[ev.Event] = []
    run(Controller(MatchingPolicy(), at, LATENCY), backend, log.append)
    outcomes = [(e.attempt_id, e.outcome, e.at_s) for e in log if isinstance(e, ev.AttemptEnded)]
    assert outcomes == [("a.2", LOST, 2.0), ("a.1", AttemptState.DONE, 10.0)]
