"""The autoscaler joins a scaler with a provider of real processes, through events alone."""

from collections.abc import Sequence

import numpy as np

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, Placement, Usage
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Job
from dnaml.execution.autoscaling import LABEL, Autoscaler
from dnaml.execution.providers.carrier import Carrier, CarrierSettings
from dnaml.execution.providers.dry_run import DryRun
from dnaml.execution.providers.local import LocalProcesses
from dnaml.predict.demand.forecaster import LEVELS
from dnaml.schedule.scaling import Scaler, ScalingSettings, Template

TEMPLATE = Template(name="small", price_usd_per_h=0.1, lead_s=5.0)
LIKE = Resource(id="like", price_usd_per_h=0.1, labels={LABEL: "small"})


class Says:
    demand = 2.0

    def learn(self, values: Sequence[float]) -> None:
        for value in values:
            self.observe(value)

    def observe(self, value: float) -> None:
        """Learn nothing."""

    def forecast(self) -> np.ndarray:
        return np.full(len(LEVELS), self.demand)


def scaler(says: Says) -> Scaler:
    settings = ScalingSettings(levels=LEVELS, bin_s=10.0, release_after_bins=1, least_machines=0)
    return Scaler(TEMPLATE, lambda ahead: says, settings, lambda one: 10.0)


def submitted(at_s: float, name: str) -> ev.Submitted:
    job = Job(id=name, computation_id="c", submitted_at_s=at_s)
    return ev.Submitted(at_s=at_s, job=job, computation=Computation(id="c", kernel="k"))


def test_machines_come_before_demand_and_go_after_it():
    says, posted, clock = Says(), [], [0.0]
    provider = LocalProcesses({"small": LIKE})
    carrier = Carrier([provider], posted.append, lambda: clock[0], settings=CarrierSettings(audit_every_s=60.0)).start()
    scaling = Autoscaler(scaler(says), carrier)

    def pass_until(at_s: float) -> None:
        while clock[0] < at_s:
            clock[0] += 1.0
            scaling(ev.Tick(at_s=clock[0]))
            carrier.wait()
            while posted:
                scaling(posted.pop(0))

    try:
        scaling(submitted(0.0, "a"))
        pass_until(20.0)
        assert len(carrier.machines) == 2
        busy = carrier.machines[0]
        where = Placement(job_id="a", resource_id=busy)
        scaling(ev.AttemptStarted(at_s=21.0, attempt_id="1", epoch=1, job_id="a", placement=where))
        says.demand = 0.0
        pass_until(60.0)
        assert carrier.machines == (busy,)
        ended = ev.AttemptEnded(at_s=60.0, attempt_id="1", epoch=1, outcome=AttemptState.DONE, usage=Usage(wall_s=39.0))
        scaling(ended)
        assert not scaling.view(60.0).machines[0].busy
    finally:
        carrier.close()


def test_a_machine_that_was_delivered_and_has_not_joined_is_not_ordered_again():
    says, posted = Says(), []
    carrier = Carrier([LocalProcesses({"small": LIKE})], posted.append, lambda: 60.0).start()
    scaling = Autoscaler(scaler(says), carrier)
    try:
        for at_s in (0.0, 10.0, 20.0, 30.0):
            scaling(ev.Tick(at_s=at_s))
            carrier.wait()
        assert len(carrier.machines) == len(posted) == 2
        assert scaling.view(30.0).coming == 2
        for event in posted:
            scaling(event)
        assert scaling.view(30.0).coming == 0
        assert len(scaling.view(30.0).machines) == 2
        assert scaling._scaler.lead.seen_s, "how long they took was not learned"
    finally:
        carrier.close()


def test_a_machine_that_never_joins_is_not_expected_for_ever():
    carrier = Carrier([LocalProcesses({"small": LIKE})], lambda event: None, lambda: 0.0).start()
    scaling = Autoscaler(scaler(Says()), carrier)
    try:
        for at_s in (0.0, 10.0, 200.0):
            scaling(ev.Tick(at_s=at_s))
            carrier.wait()
            assert len(carrier.machines) == {0.0: 0, 10.0: 2, 200.0: 4}[at_s]
    finally:
        carrier.close()


def test_what_waits_is_counted_until_it_starts_or_is_cancelled():
    scaling = Autoscaler(scaler(Says()), DryRun(lambda line: None))
    scaling(submitted(0.0, "a"))
    scaling(submitted(5.0, "b"))
    view = scaling.view(20.0)
    assert (view.wait_s, view.waiting_work_s) == (20.0, 20.0)
    scaling(ev.CancelRequested(at_s=21.0, job_id="a"))
    assert scaling.view(25.0).wait_s == 20.0


def test_other_resources_are_not_scaled():
    scaling = Autoscaler(scaler(Says()), DryRun(lambda line: None))
    scaling(ev.ResourceUp(at_s=0.0, resource=Resource(id="own")))
    scaling(ev.ResourceUp(at_s=0.0, resource=Resource(id="made", labels={LABEL: "small"})))
    scaling(ev.ResourceUp(at_s=1.0, resource=Resource(id="made", labels={LABEL: "small"})))
    assert [one.id for one in scaling.view(1.0).machines] == ["made"]
    scaling(ev.ResourceDown(at_s=2.0, resource_id="made", reason="gone"))
    assert scaling.view(2.0).machines == ()


def test_a_dry_run_says_why_machines_would_come():
    said = []
    scaling = Autoscaler(scaler(Says()), DryRun(said.append))
    scaling(submitted(0.0, "a"))
    scaling(ev.Tick(at_s=11.0))
    assert said[0].startswith("would acquire 2 x small: forecast at")
    assert len(scaling.decided) == 1
