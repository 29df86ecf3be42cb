"""The agenda: placements wait in order on each resource, are skipped once their job is gone, and can be explained."""

import numpy as np

from dnaml.core.attempt import Placement
from dnaml.core.plan import Plan, Problem
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Constraints
from dnaml.schedule.agenda import Agenda
from dnaml.schedule.ledger import Entry
from tests.schedule.doubles import LATENCY, StatedPredictor, job

SORT = Computation(id="sort", kernel="sort")
RESOURCES = (Resource(id="r0"), Resource(id="r1"))


def entry(name: str, limits: Constraints | None = None) -> Entry:
    return Entry(job(name, constraints=limits or Constraints()), SORT, 1)


def planned(*entries: Entry, on: list[tuple[str, str]]) -> Agenda:
    agenda = Agenda()
    agenda.window = {each.job.id: each for each in entries}
    problem = Problem(
        at_s=0.0,
        jobs=tuple(each.job for each in entries),
        computations=(SORT,) * len(entries),
        resources=RESOURCES,
        free_in_s=np.array([0.0, 4.0]),
        prediction=StatedPredictor(seconds={"r0": 2.0, "r1": 3.0}).predict([SORT] * len(entries), RESOURCES),
        objective=LATENCY,
    )
    plan = Plan(placements=tuple(Placement(job_id=name, resource_id=where) for name, where in on))
    agenda.renew(plan, problem, "by hand")
    return agenda


def next_id(agenda: Agenda, resource_id: str) -> str | None:
    placement = agenda.next(resource_id)
    return placement.job_id if placement else None


def test_placements_come_in_the_order_of_the_plan_for_each_resource():
    agenda = planned(entry("a"), entry("b"), entry("c"), on=[("b", "r0"), ("a", "r1"), ("c", "r0")])
    assert [next_id(agenda, "r0") for _ in range(3)] == ["b", "c", None]
    assert [next_id(agenda, "r1"), next_id(agenda, "r1"), next_id(agenda, "r2")] == ["a", None, None]


def test_a_forgotten_job_is_skipped():
    agenda = planned(entry("a"), entry("b"), on=[("a", "r0"), ("b", "r0")])
    agenda.forget("a")
    agenda.forget("never")
    assert next_id(agenda, "r0") == "b"


def test_a_cleared_agenda_gives_its_jobs_back_and_starts_nothing():
    first, second = entry("a"), entry("b")
    agenda = planned(first, second, on=[("a", "r0"), ("b", "r0")])
    assert agenda.clear() == [first, second]
    assert (agenda.window, next_id(agenda, "r0")) == ({}, None)


def test_a_new_plan_replaces_the_old_one_whole():
    agenda = planned(entry("a"), entry("b"), on=[("a", "r0"), ("b", "r0")])
    again = planned(entry("a"), entry("b"), on=[("b", "r1")])
    agenda.__dict__.update(again.__dict__)
    assert (next_id(agenda, "r0"), next_id(agenda, "r1")) == (None, "b")


def test_jobs_that_stand_aside_return_in_turn():
    agenda = planned(entry("a"), entry("b"), entry("c"), on=[("c", "r0")])
    assert agenda.park("b").job.id == "b"
    agenda.park("a")
    assert (list(agenda.window), list(agenda.parked)) == (["c"], ["b", "a"])
    agenda.unpark(0)
    agenda.unpark(-3)
    assert list(agenda.parked) == ["b", "a"]
    agenda.unpark(1)
    assert (list(agenda.window), list(agenda.parked)) == (["c", "b"], ["a"])
    agenda.forget("a")
    assert agenda.parked == {}


def test_a_decision_shows_every_candidate_with_its_figures():
    agenda = planned(entry("a"), on=[("a", "r1")])
    placement = agenda.next("r1")
    assert placement is not None
    assert agenda.forecast(placement) == (3.0, 3.0, 0.0)
    decision = agenda.decision(placement, "a.1", 7.0)
    assert (decision.policy, decision.path, decision.chosen, decision.at_s) == ("by hand", "stated-0", "r1", 7.0)
    assert decision.resource_ids == ("r0", "r1")
    assert decision.runtime_p10_s == decision.runtime_p50_s == decision.runtime_p90_s == (2.0, 3.0)
    assert decision.wait_s == (0.0, 4.0)
    assert decision.cost_usd == (2.0, 3.0)
    assert decision.score[0] < decision.score[1]
    assert decision.reasons == ("", "")


def test_a_decision_says_which_limit_ruled_a_candidate_out():
    limited = entry("a", Constraints(resource_ids=("r1",)))
    agenda = planned(limited, entry("b"), on=[("a", "r1"), ("b", "r1")])
    first, second = agenda.next("r1"), agenda.next("r1")
    assert first is not None
    assert second is not None
    for _ in range(2):  # the words are made once and kept
        assert agenda.decision(first, "a.1", 0.0).reasons == ("runs only on r1, r0 is none of these", "")
    assert agenda.decision(second, "b.1", 0.0).reasons == ("", "")
