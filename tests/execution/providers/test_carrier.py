"""The carrier against providers that refuse, hang, deliver dead machines and bill twice; the cap holds every time."""

import threading
import time

import pytest

from dnaml.core.errors import InputError
from dnaml.core.events import Acquire, Release, ResourceDown, ResourceUp
from dnaml.core.resource import Resource
from dnaml.execution.providers.carrier import Carrier, CarrierSettings
from dnaml.execution.providers.dry_run import DryRun
from dnaml.execution.providers.limited import limited
from dnaml.execution.providers.local import LocalProcesses
from dnaml.execution.providers.nodes import NodeProvider
from dnaml.execution.providers.provider import Order, ProviderError, QuotaRefused
from dnaml.execution.providers.spending import Spending

SMALL = Resource(id="like", price_usd_per_h=1.0)
QUICK = CarrierSettings(tries=3, call_limit_s=5.0, pause_s=0.0, audit_every_s=0.05)
HANGS = CarrierSettings(tries=3, call_limit_s=0.2, pause_s=0.0, audit_every_s=0.05)


class Shop:
    """A provider whose faults are said beforehand: for each call to `acquire`, what goes wrong."""

    def __init__(self, *faults: str, name: str = "shop", price: float = 1.0) -> None:
        self.name = name
        self.price = price
        self.faults = list(faults)
        self.sold: dict[str, str] = {}
        self.tokens: list[str] = []
        self.dead: set[str] = set()
        self.go_on = threading.Event()

    def price_usd_per_h(self, template: str) -> float | None:
        return self.price if template == "small" else None

    def acquire(self, order: Order) -> Resource:
        self.tokens.append(order.token)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "quota":
            raise QuotaRefused("no more of these")
        if fault == "error":
            raise ProviderError("try again")
        if fault == "hang":
            self.go_on.wait(10)
        name = f"{self.name}/{order.token}"
        self.sold[name] = order.template
        if fault == "dead":
            self.dead.add(name)
        if fault == "twice":
            self.sold[name + "-again"] = order.template
        return Resource(id=name, price_usd_per_h=self.price)

    def release(self, resource_id: str) -> None:
        self.sold.pop(resource_id, None)

    def alive(self, resource_id: str) -> bool:
        return resource_id in self.sold and resource_id not in self.dead

    def billed(self) -> dict[str, str]:
        return dict(self.sold)


class Clock:
    def __init__(self) -> None:
        self.at_s = 0.0

    def __call__(self) -> float:
        return self.at_s


def acquire(count: int = 1, until_s: float = 1e9) -> Acquire:
    return Acquire(template="small", count=count, reason="test", until_s=until_s)


def carried(providers, *commands, settings=QUICK, cap=float("inf")):
    """Carry commands out in this thread, and return the carrier and what it posted."""
    posted = []
    carrier = Carrier(providers, posted.append, Clock(), Spending(cap), settings)
    for command in commands:
        carrier.do(command)
        carrier._carry_out(command)
    return carrier, posted


def test_an_order_becomes_a_machine_and_a_release_takes_it_away():
    shop = Shop()
    carrier, posted = carried([shop], acquire(2), Release(resource_id="shop/small-0", reason="idle"))
    assert [type(event) for event in posted] == [ResourceUp, ResourceUp, ResourceDown]
    assert list(shop.sold) == ["shop/small-1"]
    assert carrier.coming == 0


def test_where_quota_is_refused_the_next_provider_is_asked_at_once():
    first, second = Shop("quota", name="first"), Shop(name="second")
    carrier, _ = carried([first, second], acquire())
    assert carrier.machines == ("second/small-1",)
    assert len(first.tokens) == 1


def test_an_error_is_tried_again_with_the_same_token_and_not_for_ever():
    shop = Shop("error", "error")
    carrier, _ = carried([shop], acquire())
    assert len(shop.tokens) == 3
    assert len(set(shop.tokens)) == 1
    assert carrier.machines == ("shop/small-0",)
    broken = Shop(*["error"] * 99)
    carrier, posted = carried([broken], acquire())
    assert len(broken.tokens) == 3
    assert posted == []
    assert carrier.refused[-1] == "small: no provider delivered"


def test_a_provider_that_hangs_is_left_and_what_it_delivers_later_goes_back():
    first, second = Shop("hang", name="first"), Shop(name="second")
    carrier, _ = carried([first, second], acquire(), settings=HANGS)
    assert carrier.machines == ("second/small-1",)
    first.go_on.set()
    until_s = time.monotonic() + 5
    while (not first.tokens or first.sold) and time.monotonic() < until_s:
        time.sleep(0.01)
    carrier.audit()
    assert first.sold == {}


def test_a_machine_that_is_delivered_dead_is_given_back_and_bought_anew():
    shop = Shop("dead")
    carrier, posted = carried([shop], acquire())
    assert carrier.machines == ("shop/small-1",)
    assert len(posted) == 1
    assert list(shop.sold) == ["shop/small-1"]
    assert "was delivered dead" in carrier.refused[0]


def test_what_is_billed_but_was_not_ordered_is_given_back_and_counted():
    shop = Shop("twice")
    carrier, _ = carried([shop], acquire())
    assert list(shop.sold) == ["shop/small-0"]
    assert carrier.spending.usd(0.0) == pytest.approx(2 / 60)
    shop.sold["shop/later"] = "small"
    carrier.audit()
    assert list(shop.sold) == ["shop/small-0"]
    assert carrier.spending.usd(0.0) == pytest.approx(3 / 60)


def test_a_machine_that_no_longer_answers_is_reported_gone():
    shop = Shop()
    carrier, posted = carried([shop], acquire())
    shop.dead.add("shop/small-0")
    carrier.audit()
    assert posted[-1] == ResourceDown(at_s=0.0, resource_id="shop/small-0", reason="it does not answer")


def test_an_order_that_is_too_late_is_not_carried_out():
    shop = Shop()
    _, posted = carried([shop], acquire(until_s=-1.0))
    assert (posted, shop.tokens) == ([], [])


def test_a_template_that_nobody_has_is_refused():
    carrier, _ = carried([Shop()], Acquire(template="huge", count=1, reason="", until_s=9.0))
    assert list(carrier.refused) == ["huge: no provider delivered"]


@pytest.mark.parametrize("faults", [(), ("twice",) * 50, ("dead", "") * 50])
def test_nothing_is_spent_beyond_the_cap(faults):
    shop, clock, posted = Shop(*faults, price=1.0), Clock(), []
    settings = CarrierSettings(tries=2, call_limit_s=5.0, pause_s=0.0, audit_every_s=30.0)
    carrier = Carrier([shop], posted.append, clock, Spending(0.5), settings)
    for _ in range(400):
        order = acquire(3)
        carrier.do(order)
        carrier._carry_out(order)
        clock.at_s += 30.0
        carrier.audit()
        assert carrier.spending.usd(clock.at_s) <= 0.5
    assert carrier.machines == ()
    assert shop.sold == {}
    assert carrier.refused[-1] == "small: the cap of 0.5 USD is reached"


def test_local_processes_are_bought_killed_and_given_back_by_the_thread():
    provider = LocalProcesses({"small": SMALL}, most=2)
    posted = []
    carrier = Carrier([provider], posted.append, time.monotonic, settings=QUICK).start()
    try:
        carrier.do(acquire(3))
        carrier.wait()
        assert len(carrier.machines) == 2
        assert any("2 machines are all" in why for why in carrier.refused)
        first = carrier.machines[0]
        provider.kill(first)
        until_s = time.monotonic() + 20
        while first in carrier.machines and time.monotonic() < until_s:
            time.sleep(0.02)
        assert ResourceDown in {type(event) for event in posted}
        assert provider.alive(carrier.machines[0])
    finally:
        carrier.close()
    assert provider.billed() == {}


def test_a_local_process_is_sold_once_for_a_token():
    provider = LocalProcesses({"small": SMALL})
    order = Order(token="small-7", template="small", until_s=9.0)
    try:
        assert provider.acquire(order) == provider.acquire(order)
        assert provider.billed() == {"small-7": "small"}
        assert provider.price_usd_per_h("small") == 1.0
        assert provider.price_usd_per_h("other") is None
    finally:
        provider.release("small-7")
        provider.release("small-7")
    assert not provider.alive("small-7")


class Cluster:
    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.nodes: dict[str, str] = {}

    def add(self, like: Resource, token: str) -> str:
        if self.fails:
            raise RuntimeError("the head node is gone")
        self.nodes[f"node-{len(self.nodes)}"] = token
        return f"node-{len(self.nodes) - 1}"

    def remove(self, node_id: str) -> None:
        del self.nodes[node_id]

    def is_alive(self, node_id: str) -> bool:
        return node_id in self.nodes

    def started(self) -> dict[str, str]:
        return self.nodes


def test_nodes_of_a_cluster_are_machines():
    provider = NodeProvider("ray", Cluster(), {"small": SMALL})
    carrier, _ = carried([provider], acquire())
    assert carrier.machines == ("node-0",)
    assert provider.billed() == {"node-0": "small"}
    carrier.close()
    provider.release("node-0")
    assert provider.billed() == {}
    assert not provider.alive("node-0")
    carrier, _ = carried([NodeProvider("ray", Cluster(fails=True), {"small": SMALL})], acquire())
    assert "the head node is gone" in carrier.refused[0]


def test_a_dry_run_says_what_it_would_do_and_why():
    said = []
    dry = DryRun(said.append)
    dry.do(acquire(2))
    dry.do(Release(resource_id="m1", reason="idle"))
    assert said == ["would acquire 2 x small: test", "would release m1: idle"]


@pytest.mark.parametrize("settings", [{"at_once": 0}, {"tries": 0}])
def test_a_carrier_that_would_order_nothing_is_refused(settings):
    with pytest.raises(InputError, match="must be at least 1, got 0"):
        CarrierSettings(**settings)


def test_a_call_that_raises_raises_here():
    with pytest.raises(ZeroDivisionError):
        limited(lambda: 1 // 0, 5.0)


def test_spending_counts_the_least_time_and_stops_when_told():
    spending = Spending(10.0, least_h=0.5)
    spending.begin("a", 2.0, 0.0)
    spending.begin("a", 9.0, 0.0)
    assert spending.usd(60.0) == 1.0
    spending.end("a", 3600.0)
    spending.end("unknown", 3600.0)
    assert spending.usd(99_999.0) == 2.0
    with pytest.raises(InputError, match="must not be negative"):
        Spending(-1.0)


def test_an_order_counts_twice_until_it_is_known_what_came_of_it():
    spending = Spending(3.0, least_h=0.5)
    assert spending.reserve("a", 2.0, 0.0)
    assert spending.usd(0.0) == 2.0
    assert not spending.reserve("b", 2.0, 0.0)
    spending.called("a", "machine")
    assert spending.usd(0.0) == 2.0
    spending.settle()
    spending.settle()
    assert spending.usd(0.0) == 1.0
    assert spending.reserve("b", 2.0, 0.0)
    spending.forget("b")
    spending.forget("b")
    assert spending.usd(0.0) == 1.0


class Slow(Shop):
    """A provider that sells nothing before several orders are there at once."""

    def __init__(self, together: int) -> None:
        super().__init__()
        self.together = threading.Barrier(together, timeout=30.0)

    def acquire(self, order: Order) -> Resource:
        self.together.wait()
        return super().acquire(order)


def test_the_machines_of_one_decision_are_ordered_at_once():
    slow = Slow(5)
    carrier, posted = carried([slow], acquire(5), settings=CarrierSettings(call_limit_s=60.0))
    assert len(carrier.machines) == len(posted) == len(set(slow.tokens)) == 5
    assert carrier.coming == 0
    assert set(slow.sold) == set(carrier.machines)


def test_no_more_than_so_many_orders_are_on_their_way_at_a_time():
    slow, settings = Slow(2), CarrierSettings(call_limit_s=60.0, at_once=2)
    carrier, _ = carried([slow], acquire(6), settings=settings)
    assert len(carrier.machines) == 6


def test_the_cap_holds_for_machines_that_are_ordered_at_once():
    shop = Shop(*["twice"] * 50)
    carrier, _ = carried([shop], acquire(40), cap=0.5)
    assert carrier.spending.usd(0.0) <= 0.5
    assert 1 <= len(carrier.machines) < 40
    assert set(shop.sold) == set(carrier.machines)
    assert carrier.coming == 0


def test_machines_go_back_before_the_cap_while_an_order_hangs():
    clock, posted = Clock(), []
    shop = Shop("", "hang")
    settings = CarrierSettings(tries=1, call_limit_s=60.0, audit_every_s=0.01)
    carrier = Carrier([shop], posted.append, clock, Spending(1.0), settings)
    for _ in range(2):
        carrier.do(acquire())
    carrier._carry_out(acquire())
    ordering = threading.Thread(target=carrier._carry_out, args=(acquire(),), daemon=True)
    ordering.start()
    while len(shop.tokens) < 2:
        time.sleep(0.001)
    clock.at_s = 3600.0
    while ResourceDown not in {type(event) for event in posted}:
        time.sleep(0.001)
    assert carrier.spending.usd(clock.at_s) <= 3.0
    shop.go_on.set()
    ordering.join()


def test_a_machine_of_an_earlier_engine_is_taken_over_if_it_is_billed_and_answers():
    shop = Shop()
    shop.sold |= {"old": "small", "dead": "small"}
    shop.dead.add("dead")
    carrier, posted = carried([shop])
    found = [
        carrier.adopt(Resource(id=name, price_usd_per_h=3600.0), by, -1.0)
        for name, by in (("old", "shop"), ("dead", "shop"), ("gone", "shop"), ("old", "other"))
    ]
    assert found == [True, False, False, False]
    assert carrier.owners() == {"old": "shop"}
    assert [event.resource.id for event in posted] == ["old"]
    assert list(shop.sold) == ["old"]
    assert carrier.spending.usd(9.0) >= 10.0


def test_what_a_provider_raises_of_its_own_ends_no_thread():
    class Broken(Shop):
        def acquire(self, order: Order) -> Resource:
            raise KeyError("region")

    carrier, _ = carried([Broken(), Shop(name="second")], acquire())
    assert carrier.machines == ("second/small-1",)
    assert "shop: KeyError: 'region'" in carrier.refused


def test_what_was_spent_before_counts_against_the_cap():
    assert not Spending(1.0, before_usd=1.0).reserve("a", 0.1, 0.0)
    assert Spending(1.0, before_usd=0.5).usd(0.0) == 0.5


def test_a_dry_run_imagines_the_machines_it_would_have():
    said, posted = [], []
    dry = DryRun(said.append, posted.append, lambda: 4.0, Resource(id="small", labels={"a": "b"}))
    dry.do(acquire(2))
    dry.do(Release(resource_id=posted[0].resource.id, reason="idle"))
    assert said[1] == "would release imagined-small-1: idle"
    assert [type(event) for event in posted] == [ResourceUp, ResourceUp, ResourceDown]
    assert posted[0].resource.labels == {"a": "b"}
