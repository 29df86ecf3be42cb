"""When plans are made and for whom: the window over a long queue, and what the predictor learns between plans."""

import pytest

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState
from dnaml.core.events import StartAttempt
from dnaml.core.plan import Plan, Problem
from dnaml.core.resource import Resource, ResourceState
from dnaml.core.work import Computation, Constraints
from dnaml.schedule.matching import MatchingPolicy
from tests.schedule.doubles import Desk, ended, ends, reasons, starts, where

NOWHERE = Constraints(resource_ids=("r9",))


class CountingPolicy:
    """The matching policy, with the problems it was asked to solve."""

    name = "matching"

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def plan(self, problem: Problem) -> Plan:
        self.problems.append(problem)
        return MatchingPolicy().plan(problem)


def counting_desk(**settings: object) -> tuple[Desk, CountingPolicy]:
    desk, policy = Desk(**settings), CountingPolicy()
    desk.controller._planner.policy = policy
    return desk, policy


def run_dry(desk: Desk, running: list[StartAttempt]) -> list[str]:
    """End what runs, one attempt after the other, until nothing runs; return the jobs in order of their ends."""
    order = []
    while running:
        first = running.pop(0)
        order.append(first.job.id)
        running += starts(desk.after(1.0).done(first))
    return order


@pytest.mark.parametrize("window", [1, 2, 3, 4, 8, 64])
def test_a_long_queue_is_worked_off_in_order_whatever_the_window(window):
    desk = Desk(window_jobs=window)
    desk.up("r0")
    names = [f"j{i:02d}" for i in range(30)]
    assert run_dry(desk, starts(desk.submit(*names))) == names


def test_a_plan_never_looks_at_more_jobs_than_the_window_holds():
    desk, policy = counting_desk(window_jobs=8)
    desk.up("r0", "r1")
    assert len(run_dry(desk, starts(desk.submit(*(f"j{i}" for i in range(50)))))) == 50
    assert max(len(problem.jobs) for problem in policy.problems) == 8
    assert len(policy.problems) < 25


def test_an_arrival_behind_a_full_window_makes_no_new_plan_but_an_urgent_one_does():
    desk, policy = counting_desk(window_jobs=8)
    desk.up("r0")
    desk.submit(*(f"j{i}" for i in range(20)))
    desk.submit("refills what started")
    plans = len(policy.problems)
    desk.submit("late")
    assert len(policy.problems) == plans
    desk.submit("urgent", priority=1)
    assert len(policy.problems) == plans + 1
    assert policy.problems[-1].jobs[0].id == "urgent"


def test_a_refresh_makes_a_new_plan_only_where_it_tells_of_another_price_or_availability():
    desk, policy = counting_desk()
    desk.up("r0", "r1")
    desk.submit("a", "b", "c")

    def plans_after(**state: float | bool) -> int:
        before = len(policy.problems)
        told = ResourceState(resource_id="r0", at_s=1.0, **state)
        desk.tell(ev.ResourceRefreshed(at_s=1.0, state=told))
        return len(policy.problems) - before

    assert plans_after(load=0.9, contention=2.0, error_rate=0.1) == 0
    assert plans_after(price_usd_per_h=7.0) == 1
    assert plans_after(price_usd_per_h=7.0) == 0
    assert [plans_after(available=available) for available in (False, False, True)] == [1, 0, 1]


def test_an_urgent_job_takes_the_place_of_those_that_have_not_started():
    desk = Desk(window_jobs=4)
    desk.up("r0")
    (running,) = starts(desk.submit(*(f"j{i}" for i in range(10))))
    desk.submit("urgent", priority=3)
    assert run_dry(desk, [running])[:3] == ["j0", "urgent", "j1"]


def test_nothing_waits_and_nothing_is_planned():
    desk, policy = counting_desk()
    desk.up("r0")
    desk.tell(ev.ModelChanged(at_s=0.0, model="m2"))
    assert policy.problems == []


def test_an_idle_resource_asks_for_a_new_plan_once_there_is_news():
    desk, policy = counting_desk(window_jobs=8, learn_every_s=1e9)
    desk.up(Resource(id="r0", slots=8), "r1")
    only_r0 = Constraints(resource_ids=("r0",))
    running = starts(desk.submit(*(f"j{i}" for i in range(16)), constraints=only_r0))
    assert len(running) == 8
    plans = len(policy.problems)
    desk.done(*running)
    assert len(policy.problems) > plans


def wide_desk(resources: int) -> tuple[Desk, CountingPolicy]:
    """Return a desk with more resources than are planned for at every end."""
    desk, policy = counting_desk(window_jobs=2, wide_resources=2, learn_every_s=1e9)
    desk.up(*(f"r{i}" for i in range(resources)))
    return desk, policy


def test_a_plan_over_many_resources_is_made_for_as_many_jobs():
    desk, policy = wide_desk(40)
    assert len(starts(desk.submit(*(f"j{i:02d}" for i in range(100))))) == 40
    assert max(len(problem.jobs) for problem in policy.problems) == 40


def test_among_many_resources_one_that_comes_free_takes_a_job_planned_elsewhere_without_a_new_plan():
    desk, policy = wide_desk(40)
    running = {start.attempt.placement.resource_id: start for start in starts(desk.submit(*map(str, range(80))))}
    desk.tell()
    plans = len(policy.problems)
    desk.controller._planner.agenda.queues.pop("r5")  # what was planned there is, say, cancelled
    assert [place for _, place in where(desk.after(0.5).done(running["r5"]))] == ["r5"]
    assert len(policy.problems) == plans


def test_among_many_resources_some_ends_later_there_is_a_new_plan():
    desk, policy = wide_desk(40)
    running = starts(desk.submit(*(f"j{i:02d}" for i in range(100))))
    plans = len(policy.problems)
    assert len(run_dry(desk, running)) == 100
    assert plans + 2 <= len(policy.problems) < plans + 50


def test_among_many_resources_a_job_that_comes_is_planned_once_one_is_idle_or_enough_came():
    desk, policy = wide_desk(40)
    desk.submit(*(f"j{i:02d}" for i in range(30)))
    assert len(starts(desk.submit("takes an idle one"))) == 1
    desk.submit(*(f"k{i:02d}" for i in range(25)))
    plans = len(policy.problems)
    desk.submit("waits with others")
    assert len(policy.problems) == plans
    desk.submit("and another")
    assert len(policy.problems) == plans + 1


def test_among_many_resources_a_job_that_none_may_take_stands_aside_and_does_not_hold_up_the_loop():
    desk, _ = wide_desk(40)
    elsewhere = Constraints(resource_ids=("r99",))
    assert len(reasons(desk.submit("huge", constraints=elsewhere))) == 1
    assert len(starts(desk.submit("small"))) == 1


def test_jobs_that_nobody_can_take_do_not_hold_up_those_behind_them():
    desk = Desk(window_jobs=4)
    desk.up("r0")
    said = desk.submit(*(f"huge{i}" for i in range(11)), constraints=NOWHERE)
    assert len(reasons(said)) == 11
    assert where(desk.submit("small")) == [("small.1", "r0")]


def test_jobs_that_stood_aside_start_in_their_turn_when_a_resource_for_them_comes():
    desk = Desk(window_jobs=4)
    desk.up("r0")
    names = [f"huge{i:02d}" for i in range(11)]
    desk.submit(*names, constraints=NOWHERE)
    assert run_dry(desk, starts(desk.up("r9"))) == names


def test_jobs_that_stood_aside_are_looked_at_again_when_the_predictor_has_learned():
    desk, policy = counting_desk(window_jobs=4, learn_every_s=0.0)
    desk.up("r0")
    desk.submit("huge", constraints=NOWHERE)
    (running,) = starts(desk.submit("a"))
    desk.after(1.0).done(running)
    desk.tell(ev.Tick(at_s=desk.at_s))
    assert [job.id for job in policy.problems[-1].jobs] == ["huge"]


def test_a_job_that_stood_aside_can_be_cancelled_and_comes_back_no_more():
    desk = Desk(window_jobs=4)
    desk.up("r0")
    desk.submit("huge", constraints=NOWHERE)
    assert [name for name, _ in ends(desk.cancel("huge"))] == ["huge"]
    assert desk.up("r9") == []


def test_one_copy_that_finds_no_place_is_no_reason_to_say_that_the_job_waits():
    desk = Desk()
    desk.up("r0")
    (first,) = starts(desk.submit("a", replicas=2))
    desk.began(first)
    said = desk.tell(ev.ModelChanged(at_s=1.0, model="m2"))
    assert reasons(said) == []
    assert where(desk.up("r1")) == [("a.2", "r1")]


def test_jobs_of_one_computation_are_predicted_once():
    desk, policy = counting_desk()
    asked: list[list[str]] = []
    predictor = desk.controller._planner.predictor

    class Asking(type(predictor)):
        def predict(self, computations, resources):
            asked.append([computation.id for computation in computations])
            return super().predict(computations, resources)

    desk.controller._planner.predictor = Asking()
    desk.up("r0")
    fft = Computation(id="fft", kernel="fft")
    moment = [desk.submitted(each) for each in _jobs("a", "b", "c")]
    moment.insert(1, desk.submitted(_jobs("d", kernel="fft")[0], fft))
    desk.tell(*moment)
    assert asked == [["sort", "fft"]]
    assert policy.problems[0].prediction.runtime_s.values.shape[:2] == (4, 1)


def _jobs(*names: str, kernel: str = "sort"):
    from tests.schedule.doubles import job

    return [job(name, kernel=kernel) for name in names]


# -- learning ------------------------------------------------------------------------------------------------------


def taught(desk: Desk) -> list[list[tuple[str, bool, bool]]]:
    """Return what the predictor was taught: for each lesson (resource, failed, censored) of its runs."""
    predictor = desk.controller._planner.predictor
    return [[(run.resource.id, run.failed, run.censored) for run in lesson] for lesson in predictor.taught]


def test_the_predictor_learns_at_most_every_so_often():
    desk = Desk(learn_every_s=1.0)
    desk.up("r0")
    (running,) = starts(desk.submit(*(f"j{i}" for i in range(6))))
    for _ in range(5):
        (running,) = starts(desk.after(0.4).done(running))
        desk.tell(ev.Tick(at_s=desk.at_s))
    assert [len(lesson) for lesson in taught(desk)] == [1, 3]
    desk.after(1.0).tell(ev.Tick(at_s=desk.at_s))
    assert [len(lesson) for lesson in taught(desk)] == [1, 3, 1]
    desk.after(9.0).tell(ev.Tick(at_s=desk.at_s))
    assert len(taught(desk)) == 3


def test_a_new_lesson_changes_the_plan_of_what_waits():
    desk, policy = counting_desk(learn_every_s=0.0)
    desk.up("r0")
    (running,) = starts(desk.submit("a", "b", "c"))
    plans = len(policy.problems)
    desk.after(1.0).done(running)
    desk.tell(ev.Tick(at_s=desk.at_s))
    assert len(policy.problems) == plans + 1
    assert policy.problems[-1].prediction.path == "stated-1"


@pytest.mark.parametrize(
    ("outcome", "failed", "censored"),
    [
        (AttemptState.DONE, False, False),
        (AttemptState.FAILED, True, False),
        (AttemptState.LOST, True, True),
        (AttemptState.STOPPED, False, True),
    ],
)
def test_how_an_attempt_ended_is_what_is_learned(outcome, failed, censored):
    desk = Desk()
    desk.up("r0")
    (start,) = starts(desk.submit("a"))
    desk.ended(start, outcome, "whatever")
    desk.after(1.0).tell(ev.Tick(at_s=desk.at_s))
    assert taught(desk) == [[("r0", failed, censored)]]


def test_a_loss_is_learned_though_its_resource_is_gone():
    desk = Desk()
    desk.up("r0")
    (start,) = starts(desk.submit("a"))
    desk.down("r0")
    desk.ended(start, AttemptState.LOST, "gone")
    desk.after(1.0).tell(ev.Tick(at_s=desk.at_s))
    assert taught(desk) == [[("r0", True, True)]]


def test_an_attempt_that_never_began_teaches_nothing():
    desk = Desk()
    desk.up("r0")
    (start,) = starts(desk.submit("a"))
    desk.tell(ended(start, 0.0, AttemptState.CANCELLED, "cancelled before it started", began=False))
    desk.after(1.0).tell(ev.Tick(at_s=desk.at_s))
    assert taught(desk) == []


def test_a_run_that_went_on_from_a_checkpoint_is_a_lower_bound():
    desk = Desk()
    desk.up("r0")
    stepped = Computation(id="train", kernel="train", checkpointable=True)
    (first,) = starts(desk.submit("a", computation=stepped))
    desk.began(first)
    desk.sealed(first, 0.5)
    (second,) = starts(desk.ended(first, AttemptState.LOST, "gone"))
    desk.done(second)
    desk.after(1.0).tell(ev.Tick(at_s=desk.at_s))
    assert taught(desk) == [[("r0", True, True)], [("r0", False, True)]] or taught(desk) == [
        [("r0", True, True), ("r0", False, True)]
    ]


@pytest.mark.parametrize(("runtime_s", "plans"), [(1.0, 2), (1e-4, 1)])
def test_one_end_is_reason_enough_for_a_plan_when_a_resource_idles_and_the_work_left_is_worth_it(runtime_s, plans):
    desk, policy = counting_desk(seconds={"r0": runtime_s, "r1": 50.0 * runtime_s}, own_clocks=True)
    desk.up("r0", "r1")
    before = len(policy.problems)
    first, *_ = starts(desk.submit(*(f"j{i}" for i in range(6))))
    desk.done(first)
    assert len(policy.problems) - before == plans
