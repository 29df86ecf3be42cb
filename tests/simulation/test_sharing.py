"""Two jobs on the same units: measured speeds, paid once, failing together, moved only where one has to."""

import numpy as np
import pytest

import dnaml
from dnaml.core.errors import InputError
from dnaml.core.resource import Resource
from dnaml.datasets.traces.colocation import pairs
from dnaml.datasets.traces.trace import Trace, TraceJob
from dnaml.schedule.rounds.round import Allocation
from dnaml.simulation import Settings, replay
from dnaml.simulation.settings import Change, Disturbances

HALF = pairs([("a", "b", "p", 0.8, 0.5), ("a", "c", "p", 0.5, 0.5)])


def trace_of(*jobs, slots=1, **given):
    """Return a trace of (arrival, runtime, kind) on one pool whose unit second costs a dollar."""
    made = [
        TraceJob(id=f"j{i}", arrival_s=at_s, runtime_s=np.array([runtime_s]), units=np.array([1]), kind=kind, **given)
        for i, (at_s, runtime_s, kind) in enumerate(jobs)
    ]
    pool = Resource(id="p", slots=slots, price_usd_per_h=3600.0, memory_bytes=100 * slots)
    return Trace(name="t", resources=(pool,), pool=np.array([0]), jobs=made)


class Script:
    """A policy that says at each time what is written for it: (choice, partner) of the jobs that are still there."""

    name, refresh_rounds = "script", 0

    def __init__(self, *said):
        self._said = dict(said)
        self._last = {}, {}

    def allocate(self, now):
        self._last = choice, partner = self._said.get(now.at_s, self._last)
        numbers = now.numbers.tolist()
        return Allocation(
            choice=np.array([choice.get(n, -1) for n in numbers]),
            partner=np.array([p if (p := partner.get(n, -1)) in numbers else -1 for n in numbers]),
        )


def ends(report):
    """Return when each job ended."""
    return {outcome.id: pytest.approx(outcome.ended_s) for outcome in report.outcomes}


BOTH = ({0: 0, 1: 0}, {0: 1, 1: 0})


def test_two_that_share_go_at_the_measured_speeds_and_the_units_are_paid_once():
    report = replay(trace_of((0, 80.0, "a"), (0, 60.0, "b")), Script((0, BOTH)), Settings(colocation=HALF))
    # a keeps 0.8 and ends at 100 s; b has done 50 of its 60 s by then and goes on alone
    assert ends(report) == {"j0": 100.0, "j1": 110.0}
    assert report.cost_usd == pytest.approx(110.0)
    assert report.utilisation == pytest.approx(1.0)
    assert report.shared_share == pytest.approx(100 / 110)
    (pair,) = report.shared()
    assert str(pair) == "j0 and j1 shared units of p for 100 s at 80% and 50% of their speed alone"


def test_the_default_policy_shares_where_it_pays_and_without_a_table_never():
    trace = trace_of((0, 100.0, "a"), (0, 100.0, "b"))
    together, apart = (dnaml.simulate(trace, settings=Settings(colocation=table)) for table in (HALF, None))
    assert together.cost_usd < apart.cost_usd == pytest.approx(200.0)
    assert together.shared_share > 0
    assert (apart.shared_share, apart.shared()) == (0.0, [])


def test_what_was_not_measured_is_refused_and_what_does_not_fit_is_not_put_together():
    with pytest.raises(InputError, match="the pair must have been measured there"):
        replay(trace_of((0, 9.0, "b"), (0, 9.0, "c")), Script((0, BOTH)), Settings(colocation=HALF))
    with pytest.raises(InputError, match="the pair must have been measured there"):
        replay(trace_of((0, 9.0, "a"), (0, 9.0, "")), Script((0, BOTH)), Settings(colocation=HALF))
    with pytest.raises(InputError, match="room in memory"):
        replay(trace_of((0, 9.0, "a"), (0, 9.0, "b"), memory_bytes=60), Script((0, BOTH)), Settings(colocation=HALF))
    small = trace_of((0, 9.0, "a"), (0, 9.0, "b"), memory_bytes=60)
    assert dnaml.simulate(small, settings=Settings(colocation=HALF)).shared_share == 0.0


def test_when_a_pair_parts_the_guest_moves_unless_the_other_leaves_the_unit():
    jobs = ((0, 100.0, "a"), (0, 100.0, "b"), (10, 1.0, "c"))
    apart = Script((0, BOTH), (10, ({0: 0, 1: 0, 2: 0}, {})))
    report = replay(trace_of(*jobs, slots=3), apart, Settings(colocation=HALF, restart_s=5.0))
    # both start after 5 s; at 10 s the guest moves and starts anew, the host goes on
    assert ends(report) == {"j0": 10.0 + 96.0, "j1": 15.0 + 97.5, "j2": 16.0}
    leaves = Script((0, BOTH), (10, ({1: 0, 2: 0}, {})), (16, ({0: 0, 1: 0}, {})))
    report = replay(trace_of(*jobs, slots=2), leaves, Settings(colocation=HALF, restart_s=5.0))
    assert ends(report) == {"j1": 10.0 + 97.5, "j2": 16.0, "j0": 16.0 + 5.0 + 96.0}
    assert report.restarts == 1


def test_a_new_guest_moves_to_the_unit_of_its_host_and_who_had_shared_with_the_host_moves_away():
    swapped = ({0: 0, 1: 0, 2: 0}, {0: 2, 2: 0})
    jobs = ((0, 100.0, "a"), (0, 100.0, "b"), (10, 100.0, "c"))
    report = replay(trace_of(*jobs, slots=2), Script((0, BOTH), (10, swapped)), Settings(colocation=HALF))
    assert {outcome.id: outcome.starts for outcome in report.outcomes} == {"j0": 1, "j1": 2, "j2": 1}
    kept = Script((0, BOTH), (10, ({0: 0, 1: 0, 2: 0}, BOTH[1])))
    report = replay(trace_of(*jobs, slots=2), kept, Settings(colocation=HALF))
    assert {outcome.starts for outcome in report.outcomes} == {1}


def test_units_that_fail_take_both_back_to_their_checkpoints():
    shrink = Disturbances(
        changes=(Change(at_s=50.0, resource_id="p", slots=0), Change(at_s=60.0, resource_id="p", slots=2))
    )
    alone = ({0: 0, 1: 0}, {})
    policy = Script((0, BOTH), (50, ({}, {})), (60, alone))
    jobs = trace_of((0, 100.0, "a"), (0, 100.0, "b"))
    report = replay(jobs, policy, Settings(colocation=HALF, disturbances=shrink))
    assert ends(report) == {"j0": 160.0, "j1": 160.0}
    assert report.failures == 1
    policy = Script((0, BOTH), (50, ({}, {})), (60, alone))
    sealed = Settings(colocation=HALF, disturbances=shrink, checkpoint_every_s=20.0)
    assert ends(replay(jobs, policy, sealed)) == {"j0": 60.0 + 100 - 32, "j1": 60.0 + 100 - 20}


def test_a_checkpoint_of_before_a_pair_is_not_forgotten():
    shrink = Disturbances(
        changes=(Change(at_s=35.0, resource_id="p", slots=0), Change(at_s=60.0, resource_id="p", slots=2))
    )
    policy = Script((0, ({0: 0}, {})), (30, BOTH), (35, ({}, {})), (60, ({0: 0, 1: 0}, {})))
    settings = Settings(colocation=HALF, disturbances=shrink, checkpoint_every_s=20.0)
    report = replay(trace_of((0, 100.0, "a"), (30, 10.0, "b")), policy, settings)
    assert ends(report) == {"j0": 60.0 + 80.0, "j1": 70.0}


def test_failures_of_shared_units_come_as_often_as_of_others():
    often = Settings(colocation=HALF, disturbances=Disturbances(failures_per_h=360.0), seed=2, checkpoint_every_s=0.5)
    many = trace_of((0, 1600.0, "a"), (0, 1000.0, "b"))
    report = replay(many, Always(), often)
    assert 0.8 < report.failures / (report.makespan_s / 10.0) < 1.2


class Always:
    """A policy that puts all jobs on the one pool, two together where there are two."""

    name, refresh_rounds = "always", 0

    def allocate(self, now):
        numbers = now.numbers
        partner = numbers[::-1] if len(numbers) == 2 else np.full(len(numbers), -1)
        return Allocation(choice=np.zeros(len(numbers), dtype=np.int64), partner=partner)
