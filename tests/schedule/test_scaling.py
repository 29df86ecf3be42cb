"""A scaler orders before demand comes, gives back what is idle, and keeps its caps."""

from collections.abc import Sequence

import numpy as np
import pytest

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, Placement, Usage
from dnaml.core.errors import InputError
from dnaml.core.work import Computation, Job
from dnaml.schedule.scaling import Machine, PoolView, Scaler, ScalingSettings, Template, choose
from dnaml.schedule.scaling_demand import Demand, LeadTime

LEVELS = (0.5, 0.9, 0.99)
SMALL = Template(name="small", price_usd_per_h=1.0, lead_s=60.0)


class Says:
    """A forecaster that says one thing, from the first bin on."""

    def __init__(self, demand: float | None) -> None:
        self.demand = demand
        self.seen: list[float] = []

    def learn(self, values: Sequence[float]) -> None:
        for value in values:
            self.observe(value)

    def observe(self, value: float) -> None:
        self.seen.append(value)

    def forecast(self) -> np.ndarray | None:
        return None if self.demand is None else np.full(len(LEVELS), self.demand)


def scaler(demand: float | None = 3.0, template: Template = SMALL, **settings: float) -> Scaler:
    return Scaler(template, lambda ahead: Says(demand), ScalingSettings(levels=LEVELS, **settings), lambda one: 30.0)


def submitted(at_s: float, name: str = "a") -> ev.Submitted:
    computation = Computation(id=name, kernel="fit")
    return ev.Submitted(
        at_s=at_s, job=Job(id=f"{name}-{at_s}", computation_id=name, submitted_at_s=at_s), computation=computation
    )


def machines(count: int, *, busy: int = 0) -> tuple[Machine, ...]:
    return tuple(Machine(id=f"m{number}", up_at_s=float(number), busy=number < busy) for number in range(count))


def test_machines_are_ordered_for_what_is_forecast():
    made = scaler(3.0)
    made.observe(submitted(0.0))
    (order,) = made.decide(60.0, PoolView(machines=machines(1)))
    assert order == ev.Acquire(
        template="small", count=2, reason="forecast at 50.0% for 2 bins ahead", until_s=60.0 + 180.0
    )
    assert made.decide(61.0, PoolView(machines=machines(1), coming=2)) == ()
    assert (made.target, made.level, made.ahead) == (3, 0.5, 2)
    assert made.forecast() is not None
    assert made.usual_s == 30.0


def test_equal_events_give_equal_decisions():
    def replayed() -> list[tuple[ev.Command, ...]]:
        made = scaler(None)
        said = []
        for minute in range(20):
            made.observe(submitted(60.0 * minute + 1, f"c{minute % 3}"))
            said.append(made.decide(60.0 * (minute + 1), PoolView(machines=machines(2))))
        return said

    assert replayed() == replayed()


def test_idle_machines_go_only_after_several_bins_without_need():
    made = scaler(3.0, release_after_bins=3)
    made.observe(submitted(0.0))
    made.decide(60.0, PoolView(machines=machines(3)))
    made._forecaster.demand = 1.0
    seen = [made.decide(60.0 * bin_, PoolView(machines=machines(3, busy=1))) for bin_ in range(2, 6)]
    assert seen[0] == ()
    assert seen[-1] == (
        ev.Release(resource_id="m1", reason="1 machines are enough at 50.0%"),
        ev.Release(resource_id="m2", reason="1 machines are enough at 50.0%"),
    )


def test_a_machine_is_used_until_what_was_paid_for_is_over():
    template = Template(name="hour", price_usd_per_h=1.0, lead_s=0.0, quantum_s=3600.0)
    made = scaler(1.0, template, release_after_bins=1)
    made.observe(submitted(0.0))
    pool = PoolView(machines=(Machine(id="new", up_at_s=0.0), Machine(id="old", up_at_s=-3500.0)))
    assert [one.resource_id for one in made.decide(60.0, pool)] == ["old"]


def test_work_that_waits_too_long_is_answered_whatever_was_forecast():
    made = scaler(1.0)
    made.observe(submitted(0.0))
    view = PoolView(machines=machines(1), wait_s=90.0, waiting_work_s=180.0)
    (order,) = made.decide(60.0, view)
    assert (order.count, order.reason) == (3, "work waits 90 s")


@pytest.mark.parametrize("caps", [{"most_usd_per_h": 2.5}, {"most_machines": 2}, {"most_at_once": 1}])
def test_caps_hold(caps):
    made = scaler(9.0, **caps)
    made.observe(submitted(0.0))
    (order,) = made.decide(60.0, PoolView(machines=machines(1)))
    assert order.count == 1


def test_a_longer_lead_is_forecast_anew_from_the_same_past():
    made = scaler(2.0, short_usd_per_h=9.0)
    made.observe(submitted(0.0))
    made.observe(submitted(130.0))
    before = made._forecaster
    for _ in range(20):
        made.came(300.0)
    assert made.ahead == 6
    assert made._forecaster is not before
    assert made._forecaster.seen == before.seen == [0.5, 0.0]


def test_demand_learns_how_long_kernels_take():
    demand = Demand(60.0, lambda one: 30.0)
    job = submitted(0.0)
    placement = Placement(job_id=job.job.id, resource_id="r")
    usage = Usage(wall_s=12.0)
    demand.observe(job)
    demand.observe(ev.AttemptStarted(at_s=1.0, attempt_id="1", epoch=1, job_id=job.job.id, placement=placement))
    demand.observe(ev.AttemptEnded(at_s=13.0, attempt_id="1", epoch=1, outcome=AttemptState.DONE, usage=usage))
    lost = ev.AttemptEnded(at_s=14.0, attempt_id="?", epoch=1, outcome=AttemptState.DONE, usage=usage)
    assert demand.observe(lost) == []
    assert demand.observe(ev.Tick(at_s=15.0)) == []
    assert demand.observe(submitted(61.0)) == [30.0]
    assert demand.until(200.0) == [12.0, 0.0]
    assert demand.usual_s == pytest.approx(30.0 - 0.2 * 18.0)


def test_what_was_lost_or_failed_says_nothing_of_usual_times():
    demand = Demand(60.0, lambda one: 30.0)
    for number, outcome in enumerate((AttemptState.LOST, AttemptState.FAILED)):
        job = submitted(float(number))
        placement = Placement(job_id=job.job.id, resource_id="r")
        name = str(number)
        demand.observe(job)
        demand.observe(ev.AttemptStarted(at_s=2.0, attempt_id=name, epoch=1, job_id=job.job.id, placement=placement))
        ended = ev.AttemptEnded(at_s=3.0, attempt_id=name, epoch=1, outcome=outcome, usage=Usage(wall_s=1.0))
        demand.observe(ended)
    gone = ev.AttemptStarted(at_s=4.0, attempt_id="x", epoch=1, job_id="unknown", placement=placement)
    demand.observe(gone)
    demand.observe(
        ev.AttemptEnded(at_s=5.0, attempt_id="x", epoch=1, outcome=AttemptState.DONE, usage=Usage(wall_s=1.0))
    )
    demand.observe(submitted(6.0))
    assert demand.until(60.0) == [90.0]


def test_lead_times_are_learned():
    lead = LeadTime(60.0)
    assert lead.bins(60.0) == 2
    lead.observe(float("nan"))
    for _ in range(100):
        lead.observe(119.0)
    assert (lead.p95_s, lead.bins(60.0)) == (119.0, 3)


def test_the_cheapest_work_is_chosen():
    fast = Template(name="fast", price_usd_per_h=3.0, rate=4.0)
    assert choose([SMALL, fast]) is fast
    with pytest.raises(InputError, match="no template"):
        choose([])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Template(name="t", rate=0.0), "rate must be positive"),
        (lambda: Template(name="t", lead_s=-1.0), "lead_s must be finite"),
        (lambda: ScalingSettings(levels=LEVELS, bin_s=0.0), "bin_s must be positive"),
        (lambda: ScalingSettings(levels=LEVELS, least_machines=5, most_machines=4), "least <= most"),
        (lambda: ScalingSettings(levels=LEVELS, release_after_bins=0), "at least 1"),
        (lambda: ScalingSettings(levels=LEVELS, most_usd_per_h=-1.0), "most_usd_per_h"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_what_own_resources_carry_needs_no_machine():
    made = scaler(3.0, least_machines=0)
    made.observe(submitted(0.0))
    assert made.decide(60.0, PoolView(machines=(), own_rate=3.5)) == ()
    assert made.target == 0
    (order,) = made.decide(61.0, PoolView(machines=(), own_rate=1.0))
    assert order.count == 2


def test_machines_that_are_going_count_against_the_most():
    made = scaler(3.0, most_machines=3)
    made.observe(submitted(0.0))
    (order,) = made.decide(60.0, PoolView(machines=(), leaving=1))
    assert order.count == 2
    assert made.decide(61.0, PoolView(machines=machines(1), leaving=2)) == ()


def test_with_no_least_machine_none_is_held_for_next_to_nothing():
    made = scaler(0.04, least_machines=0, release_after_bins=1)
    made.observe(submitted(0.0))
    made.decide(60.0, PoolView(machines=()))
    assert made.target == 0
    held = scaler(0.04, least_machines=1)
    held.observe(submitted(0.0))
    held.decide(60.0, PoolView(machines=()))
    assert held.target == 1


def test_a_new_scaler_goes_on_with_the_bins_and_leads_of_an_earlier_one():
    made = scaler(3.0, judged_bins=2)
    made.remember([30.0, 60.0, 90.0], 600.0, [400.0] * 64)
    assert made.past_s == pytest.approx((30.0, 60.0, 90.0))
    assert made.closed_s == 600.0
    assert made.lead.seen_s == (400.0,) * 64
    assert made.ahead == 8
    assert made._forecaster.seen == pytest.approx([0.5, 1.0, 1.5])
    made.decide(660.0, PoolView(machines=machines(3)))
    assert made.past_s == pytest.approx((30.0, 60.0, 90.0, 0.0))


def test_leads_that_came_are_told_apart_from_the_first_guess():
    lead = LeadTime(10.0, counts=2, memory=4)
    lead.observe(1.0)
    assert lead.seen_s == (1.0,)
    for seconds in (2.0, 3.0, 4.0):
        lead.observe(seconds)
    assert lead.seen_s == (1.0, 2.0, 3.0, 4.0)
    assert Demand(10.0, lambda one: 1.0).closed_s is None
