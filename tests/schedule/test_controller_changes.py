"""What changes while jobs wait and run: objective, policy, predictor, and attempts that do not end when predicted."""

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, JobState
from dnaml.core.events import StartAttempt
from dnaml.core.plan import Plan, Problem
from dnaml.core.work import Objective
from dnaml.schedule.matching import MatchingPolicy
from tests.schedule.doubles import Desk, StatedPredictor, ended, ends, starts, stops, where

BALANCED = Objective.of("balanced")


class Backwards:
    """The matching policy over the same resources in the opposite order of speed."""

    name = "backwards"

    def plan(self, problem: Problem) -> Plan:
        slowest = max(problem.resources, key=lambda r: problem.prediction.runtime_s.values[0, _index(problem, r), 3])
        placements = MatchingPolicy().plan(problem).placements
        return Plan(placements=tuple(type(p)(job_id=p.job_id, resource_id=slowest.id) for p in placements))


def _index(problem: Problem, resource: object) -> int:
    return problem.resources.index(resource)


def configured(desk: Desk, policy: str = "matching", model: str = "stated-0", objective: Objective = BALANCED):
    return ev.Configured(at_s=desk.at_s, policy=policy, model=model, objective=objective)


def test_jobs_are_placed_under_the_objective_policy_and_predictor_that_were_named_last():
    desk = Desk(seconds={"fast": 1.0, "slow": 5.0})
    desk.up("fast", "slow", slots=9)
    desk.controller.offer(policy=Backwards())
    desk.controller.offer(predictor=StatedPredictor(seconds={"fast": 7.0, "slow": 5.0}, taught=((),)))
    assert where(desk.submit("a")) == [("a.1", "fast")]
    desk.tell(configured(desk, policy="backwards"))
    assert where(desk.submit("b")) == [("b.1", "slow")]
    desk.tell(configured(desk, model="stated-1"))
    assert where(desk.submit("c")) == [("c.1", "slow")]
    desk.tell(configured(desk))
    assert where(desk.submit("d")) == [("d.1", "fast")]


def test_names_that_nobody_offered_change_nothing():
    desk = Desk(seconds={"fast": 1.0, "slow": 5.0})
    desk.up("fast", "slow")
    desk.tell(configured(desk, policy="magic", model="crystal ball"))
    (start,) = starts(desk.submit("a"))
    assert (start.attempt.placement.resource_id, start.decision.policy) == ("fast", "matching")


def test_a_new_objective_moves_what_waits():
    desk = Desk()
    desk.up("r0")
    (running,) = starts(desk.submit("a", "b"))
    desk.tell(configured(desk, objective=Objective(cost=1.0, latency=0.0, resilience=0.0)))
    (start,) = starts(desk.done(running))
    assert desk.controller._planner.objective.latency == 0.0
    assert start.job.id == "b"


def overtaken() -> tuple[Desk, list]:
    """Return a desk on which very short attempts were handed over ahead, the first of which does not end."""
    desk = Desk(seconds={"r0": 0.001, "r1": 0.001})
    desk.up("r0")
    handed = starts(desk.submit(*(f"j{i}" for i in range(5))))
    assert len(handed) == 5
    desk.began(*handed)
    return desk, handed


def came_back(desk: Desk, *started: StartAttempt) -> list[ev.AttemptEnded]:
    return [ended(start, desk.at_s, AttemptState.STOPPED, "given back", began=False) for start in started]


def test_what_comes_back_unbegun_is_placed_elsewhere_and_what_runs_is_left_alone():
    desk, handed = overtaken()
    desk.up("r1")
    assert stops(desk.after(9.0).tell(ev.Tick(at_s=desk.at_s))) == []
    again = starts(desk.tell(*came_back(desk, *handed[1:])))
    assert {start.attempt.placement.resource_id for start in again} == {"r1"}
    assert sorted(start.job.id for start in again) == ["j1", "j2", "j3", "j4"]


def test_nothing_is_handed_over_ahead_again_before_the_next_start():
    desk, handed = overtaken()
    assert starts(desk.tell(*came_back(desk, *handed[1:]))) == []
    assert len(starts(desk.done(handed[0]))) == 4


def test_what_comes_back_from_a_resource_that_is_gone_waits_for_another():
    desk, handed = overtaken()
    desk.tell(ev.ResourceDown(at_s=desk.at_s, resource_id="r0", reason="gone"))
    assert starts(desk.tell(*came_back(desk, *handed))) == []
    assert len(starts(desk.up("r1"))) == 5


def test_a_job_that_came_back_may_still_be_cancelled():
    desk, handed = overtaken()
    desk.tell(*came_back(desk, handed[1]))
    assert ends(desk.cancel("j1")) == [("j1", JobState.CANCELLED)]
