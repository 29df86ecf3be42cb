"""An engine scales by itself: machines come before a recurring burst and go after it, and survive what goes wrong."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import dnaml
from dnaml.core.resource import Resource
from dnaml.execution.autoscaling import LABEL
from dnaml.execution.providers.carrier import CarrierSettings
from dnaml.execution.providers.local import LocalProcesses
from dnaml.execution.providers.provider import Order, ProviderError, QuotaRefused
from dnaml.history import History
from dnaml.scaling import Scaling
from dnaml.scaling.memory import Held, Memory, recalled, remember
from tests.work import double

SMALL = Resource(id="small", price_usd_per_h=3600.0, startup_s=0.2, domain="made")
PLAN = Scaling(machines=(SMALL,), bin_s=0.2, every_s=0.02, probes=False, trained=False, wait_target_s=0.2)
BURSTS = ([0.0] * 9 + [0.6, 0.6, 0.0]) * 20
PATIENCE_S = 60.0


def until(found: Callable[[], object], what: str) -> None:
    """Look until something is so; fail when it never is."""
    end_s = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < end_s, what
        time.sleep(0.01)


class Noted(LocalProcesses):
    """Local processes that note each order, and do what goes wrong first."""

    def __init__(self, *faults: Exception, most: int = 4) -> None:
        super().__init__(PLAN.labelled(), most=most)
        self.orders: list[str] = []
        self.faults = list(faults)

    def acquire(self, order: Order) -> Resource:
        self.orders.append(order.token)
        if self.faults:
            raise self.faults.pop(0)
        return super().acquire(order)


def executor(state: Path, plan: Scaling, pool: tuple[Resource, ...] = ()) -> dnaml.Executor:
    return dnaml.Executor(pool, state=state, scaling=plan, cores=4)


def test_machines_come_before_a_recurring_burst_and_go_after_it(tmp_path: Path):
    provider = Noted()
    remember(tmp_path, Memory(template="small", bin_s=0.2, at_s=time.time(), end_s=time.time(), work_s=BURSTS))
    with executor(tmp_path, replace(PLAN, providers=(provider,), wait_target_s=60.0)) as own:
        until(lambda: own.scaling.told().machines, "no machine came, though bursts recur")
        told = own.scaling.told()
        assert not History.read(tmp_path).jobs, "it came before anything was submitted"
        assert told.decisions[0].reason.startswith("forecast at")
        until(lambda: own.scaling.told().decisions[-1].what == "release", "nothing was given back after the burst")
        until(lambda: not provider.billed(), "what was given back is still paid for")
    assert max(told.demand) > 2.0, "a burst asks three machines"


def test_work_that_waits_with_no_machine_gets_one_and_runs_on_it(tmp_path: Path):
    with executor(tmp_path, PLAN) as own:
        future = own.submit(double, 21)
        assert future.result(PATIENCE_S) == 42
        where = future.record.attempts[0].placement.resource_id
        assert own.scaling.told().decisions[0].what == "acquire"
        until(lambda: not own.scaling.told().machines, "the machine stays though nothing runs")
    assert where.startswith("small-")


def test_a_restart_orders_nothing_again_and_remembers_what_was_spent(tmp_path: Path):
    provider = Noted()
    plan = replace(PLAN, providers=(provider,))
    with executor(tmp_path, plan) as own:
        assert own.submit(double, 1).result(PATIENCE_S) == 2
    ordered, spent_usd = list(provider.orders), recalled(tmp_path, "small", 0.2).spent_usd
    assert ordered
    assert spent_usd >= 60.0, "one machine is paid for a minute at least"
    quiet = replace(plan, every_s=3600.0, providers=(provider,))
    with executor(tmp_path, quiet) as own:
        assert own.submit(pow, 2, 3).cancel()
        assert own.scaling.told().spent_usd >= spent_usd
    assert provider.orders == ordered


def test_machines_of_an_earlier_engine_are_taken_over_if_they_answer(tmp_path: Path):
    provider = Noted()
    provider.acquire(Order(token="small-old", template="small", until_s=1e12))
    held = [Held(id=one, template="small", provider="local", since_s=0.0) for one in ("small-old", "small-gone")]
    remember(tmp_path, Memory(template="small", bin_s=0.2, at_s=time.time(), end_s=time.time(), machines=held))
    plan = replace(PLAN, providers=(provider,), least_machines=1, most_machines=1, keeps_machines=True)
    with executor(tmp_path, plan) as own:
        future = own.submit(double, 4)
        assert future.result(PATIENCE_S) == 8
        assert future.record.attempts[0].placement.resource_id == "small-old"
        until(lambda: own.scaling.told().machines == ("small-old",), "the machine is not counted")
    assert [one.id for one in recalled(tmp_path, "small", 0.2).machines] == ["small-old"]
    provider.release("small-old")


@pytest.mark.parametrize(
    "fault", [ProviderError("try again"), KeyError("a bug of the provider"), QuotaRefused("no more")], ids=repr
)
def test_a_provider_that_fails_once_is_asked_again(tmp_path: Path, fault: Exception):
    provider = Noted(fault)
    carrying = CarrierSettings(tries=2, pause_s=0.01, call_limit_s=20.0)
    with executor(tmp_path, replace(PLAN, providers=(provider,), carrying=carrying)) as own:
        assert own.submit(double, 3).result(PATIENCE_S) == 6
    assert len(provider.orders) >= 2


def test_under_a_cap_nothing_is_bought_that_could_go_beyond_it(tmp_path: Path):
    provider = Noted()
    plan = replace(PLAN, providers=(provider,), most_usd=1.0)
    with executor(tmp_path, plan, (Resource(id="own", domain="own"),)) as own:
        futures = [own.submit(time.sleep, 0.4) for _ in range(4)]
        until(lambda: own.scaling.told().refused, "nothing was refused")
        assert [one.result(PATIENCE_S) for one in futures] == [None] * 4
        assert own.scaling.told().refused[-1] == "small: the cap of 1 USD is reached"
    assert provider.orders == []


def test_a_dry_run_decides_and_buys_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    provider = Noted()
    plan = replace(PLAN, providers=(provider,), dry_run=True)
    caplog.set_level("INFO", "dnaml.scaling")
    with executor(tmp_path, plan, (Resource(id="own", domain="own"),)) as own:
        futures = [own.submit(time.sleep, 0.3) for _ in range(4)]
        until(lambda: any("would acquire" in line for line in caplog.messages), "it says nothing")
        for future in futures:
            future.result(PATIENCE_S)
        until(lambda: any("would release" in line for line in caplog.messages), "imagined machines never go")
        assert {one.placement.resource_id for one in futures[0].record.attempts} == {"own"}
    assert provider.orders == []


def test_a_machine_that_dies_is_noticed_and_its_work_goes_on_elsewhere(tmp_path: Path):
    provider = Noted()
    carrying = CarrierSettings(audit_every_s=0.05, call_limit_s=20.0)
    with executor(tmp_path, replace(PLAN, providers=(provider,), carrying=carrying, least_machines=1)) as own:
        until(lambda: own.scaling.told().machines, "no machine came")
        (first,) = own.scaling.told().machines
        future = own.submit(time.sleep, 1.0)
        until(lambda: own.running(), "it does not start")
        provider.kill(first)
        assert future.result(PATIENCE_S) is None
        states = [one.state.name for one in future.record.attempts]
    assert states[-1] == "DONE"
    assert LABEL in History.read(tmp_path).resources[first].labels


def test_what_runs_on_a_machine_that_goes_ends_there(tmp_path: Path):
    provider = Noted()
    with executor(tmp_path, replace(PLAN, providers=(provider,), wait_target_s=0.0)) as own:
        future = own.submit(time.sleep, 2.0)
        assert future.result(PATIENCE_S) is None
        until(lambda: not provider.billed(), "it is never given back")
        assert [one.state.name for one in future.record.attempts] == ["DONE"]
