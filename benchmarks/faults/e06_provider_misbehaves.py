"""E6: a provider of real processes refuses, fails, hangs, delivers dead machines and bills twice: the cap holds."""

import random
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.faults.outcome import Bar, Outcome, Tier
from dnaml.core.events import Acquire, Event, ResourceUp
from dnaml.core.resource import Resource
from dnaml.execution.providers.carrier import Carrier, CarrierSettings
from dnaml.execution.providers.local import LocalProcesses
from dnaml.execution.providers.provider import Order, ProviderError, QuotaRefused
from dnaml.execution.providers.spending import Spending

ID = "E6"
RUNS = {Tier.QUICK: 3, Tier.SOAK: 100}
PRICE_USD_PER_H, LEAST_H = 3600.0, 0.2 / 3600  # a dollar a second, paid for a fifth of a second at least
CAP_USD, WANTED, PATIENCE_S = 12.0, 3, 5.0
_FAULTS = ("quota", "error", "hang", "dead", "twice")


class Misbehaves:
    """Local processes that go wrong as drawn; counts by itself what each one that it started costs."""

    def __init__(self, name: str, rng: random.Random, faulty: float) -> None:
        self.name = name
        self._inner = LocalProcesses({"small": Resource(id="like", price_usd_per_h=PRICE_USD_PER_H)}, most=99)
        self._rng = rng
        self._faulty = faulty
        self._began: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._lock = threading.Lock()

    def price_usd_per_h(self, template: str) -> float | None:
        """Return the price of a template."""
        return self._inner.price_usd_per_h(template)

    def acquire(self, order: Order) -> Resource:
        """Sell a machine, or do what goes wrong this time."""
        fault = self._rng.choice(_FAULTS) if self._rng.random() < self._faulty else ""
        if fault == "quota":
            raise QuotaRefused("no more machines of this kind")
        if fault == "error":
            raise ProviderError("internal error")
        if fault == "hang":
            time.sleep(0.6)
        sold = self._sell(order)
        if fault == "twice":
            self._sell(replace(order, token=f"{order.token}again"))
        if fault == "dead":
            self._inner.kill(sold.id)
        return sold

    def release(self, resource_id: str) -> None:
        """Take a machine back."""
        self._inner.release(resource_id)
        with self._lock:
            if resource_id in self._began:
                self._ended.setdefault(resource_id, time.monotonic())

    def alive(self, resource_id: str) -> bool:
        """Say whether the process of a machine lives."""
        return self._inner.alive(resource_id)

    def billed(self) -> Mapping[str, str]:
        """Return the machines that were not taken back."""
        return self._inner.billed()

    def spent_usd(self) -> float:
        """Return what all machines cost until now, by this side's own book."""
        with self._lock:
            now_s = time.monotonic()
            lives = [self._ended.get(name, now_s) - began_s for name, began_s in self._began.items()]
        return sum(PRICE_USD_PER_H * max(life_s / 3600, LEAST_H) for life_s in lives)

    def _sell(self, order: Order) -> Resource:
        sold = self._inner.acquire(replace(order, token=f"{self.name}-{order.token}"))
        with self._lock:
            self._began.setdefault(sold.id, time.monotonic())
        return sold


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Order machines until the money is gone; return what was spent beyond the cap and how soon the first one came."""
    over, first_s, left = [], [], 0
    for number in range(runs):
        rng = random.Random(f"{seed}/{number}")
        providers = [Misbehaves("first", rng, 0.8), Misbehaves("second", rng, 0.3)]
        came_s: list[float] = []
        began_s = time.monotonic()

        def post(event: Event, came_s: list[float] = came_s, began_s: float = began_s) -> None:
            if isinstance(event, ResourceUp):
                came_s.append(time.monotonic() - began_s)

        settings = CarrierSettings(tries=3, call_limit_s=0.3, pause_s=0.02, audit_every_s=0.1)
        carrier = Carrier(providers, post, time.monotonic, Spending(CAP_USD, least_h=LEAST_H), settings).start()
        try:
            while time.monotonic() - began_s < PATIENCE_S:
                missing = WANTED - len(carrier.machines) - carrier.coming
                if missing > 0:
                    until_s = time.monotonic() + 1.0
                    carrier.do(Acquire(template="small", count=missing, reason="work waits", until_s=until_s))
                time.sleep(0.02)
        finally:
            carrier.close()
            time.sleep(0.7)  # what hung delivers now, and must go back
        left += sum(len(one.billed()) for one in providers)
        over.append(max(0.0, sum(one.spent_usd() for one in providers) - CAP_USD))
        first_s.append(came_s[0] if came_s else float("nan"))
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="a provider refuses, fails, hangs, delivers dead machines, bills twice",
        recover_s=tuple(first_s),
        lost=sum(one != one for one in first_s),
        duplicated=left,
        figures=(Bar(name="spent_over_the_cap", value=max(over), unit="USD", bar=0.0),),
    )
