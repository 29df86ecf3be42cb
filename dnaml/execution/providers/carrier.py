"""Carries scaling decisions to providers: a thread that buys, gives back, checks what is billed, and posts events.

The machines of one decision are ordered at once, each from a thread of its own. An order is tried a few times and then
with the next provider; a provider that hangs is left alone after its time limit, and what it delivers later is given
back. A machine counts once it answered. Bills are compared with orders, and what nobody ordered is given back. Nothing
is bought beyond the cap, and machines go back before it is reached.
"""

import itertools
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Container, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from dnaml.core.errors import InputError
from dnaml.core.events import Acquire, Command, Event, Release, ResourceDown, ResourceUp
from dnaml.core.resource import Resource
from dnaml.execution.providers.limited import limited
from dnaml.execution.providers.provider import Order, Provider, ProviderError, QuotaRefused
from dnaml.execution.providers.spending import Spending

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierSettings:
    """How patient the carrier is: tries per provider, seconds per call, pause between tries and between audits.

    At most `at_once` orders of one decision are on their way at a time.
    """

    at_once: int = 16
    tries: int = 3
    call_limit_s: float = 120.0
    pause_s: float = 1.0
    audit_every_s: float = 30.0

    def __post_init__(self) -> None:
        """Raise InputError for settings with which nothing would be ordered."""
        for name in ("at_once", "tries"):
            if getattr(self, name) < 1:
                raise InputError(f"scaling: {name} must be at least 1, got {getattr(self, name)}")


class Carrier:
    """Carries out Acquire and Release; `post` gets ResourceUp and ResourceDown, `now_s` is the engine's clock.

    `run` marks the orders of this carrier among those of earlier ones (letters and digits): a provider sells nothing
    twice under one token.
    """

    def __init__(
        self,
        providers: Sequence[Provider],
        post: Callable[[Event], None],
        now_s: Callable[[], float],
        spending: Spending | None = None,
        settings: CarrierSettings = CarrierSettings(),
        *,
        run: str = "",
    ) -> None:
        self._providers = tuple(providers)
        self._post = post
        self._now_s = now_s
        self.spending = spending or Spending()
        self._settings = settings
        self._queue: queue.Queue[Command | None] = queue.Queue()
        self._stop = threading.Event()
        self._owner: dict[str, Provider] = {}
        self._numbers = itertools.count()
        self._run = run
        self._coming = 0
        self._counting = threading.Lock()
        self.refused: deque[str] = deque(maxlen=256)
        """why orders were not met, newest last"""
        self._blind_s = 2 * (settings.audit_every_s + settings.call_limit_s)
        """for so long machines may run on before anybody looks at what they cost"""
        self._thread = threading.Thread(target=self._work, name="dnaml-carrier", daemon=True)

    def start(self) -> "Carrier":
        """Start carrying."""
        self._thread.start()
        return self

    @property
    def coming(self) -> int:
        """Return how many machines are ordered and not there yet."""
        return self._coming

    def expected(self, seen: Container[str]) -> int:
        """Return how many machines are ordered, or delivered and not among those that were seen."""
        with self._counting:
            return self._coming + sum(name not in seen for name in tuple(self._owner))

    @property
    def machines(self) -> tuple[str, ...]:
        """Return the ids of the machines that are there."""
        return tuple(sorted(self._owner))

    def owners(self) -> dict[str, str]:
        """Return the machines that are there, id -> name of their provider."""
        return {resource_id: provider.name for resource_id, provider in dict(self._owner).items()}

    def adopt(self, resource: Resource, provider_name: str, since_s: float) -> bool:
        """Take over a machine that an earlier engine left, if it answers; it is paid for since then. Before `start`."""
        for provider in self._providers:
            if provider.name != provider_name or resource.id not in (self._ask(provider.billed) or {}):
                continue
            self.spending.begin(resource.id, resource.price_usd_per_h or 0.0, since_s)
            if self._ask(partial(provider.alive, resource.id)):
                self._owner[resource.id] = provider
                self._post(ResourceUp(at_s=self._now_s(), resource=resource))
                return True
            self._ask(partial(provider.release, resource.id))
            self.spending.end(resource.id, self._now_s())
        return False

    def do(self, command: Command) -> None:
        """Take a command; what is neither Acquire nor Release is somebody else's."""
        if isinstance(command, Acquire):
            self._expect(command.count)
        if isinstance(command, Acquire | Release):
            self._queue.put(command)

    def wait(self) -> None:
        """Return when everything taken so far was carried out."""
        self._queue.join()

    def close(self, *, release: bool = True, timeout_s: float = 30.0) -> None:
        """Stop carrying; give all machines back unless told to keep them."""
        self._stop.set()
        self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        if release:
            for resource_id in self.machines:
                self._give_back(resource_id, "scaling ended")

    def audit(self) -> None:
        """Compare bills with orders, drop what died, and give machines back before the cap is reached."""
        for provider in self._providers:
            self._reconcile(provider)
        for resource_id in self.machines:
            if not self._ask(partial(self._owner[resource_id].alive, resource_id)):
                self._give_back(resource_id, "it does not answer")
        self._keep_the_cap()

    def _keep_the_cap(self) -> None:
        if self.spending.reached(self._now_s(), within_s=self._blind_s):
            for resource_id in self.machines:
                self._give_back(resource_id, f"the cap of {self.spending.most_usd:g} USD is reached")

    def _reconcile(self, provider: Provider) -> None:
        """Give back, and count, what a provider bills and nobody ordered."""
        for resource_id, template in (self._ask(provider.billed) or {}).items():
            if self._owner.get(resource_id) is not provider:
                _log.warning("%s bills %s, which nobody ordered: it is given back", provider.name, resource_id)
                self.spending.begin(resource_id, provider.price_usd_per_h(template) or 0.0, self._now_s())
                self._ask(partial(provider.release, resource_id))
                self.spending.end(resource_id, self._now_s())

    def _work(self) -> None:
        audited_s = time.monotonic()
        while not self._stop.is_set():
            if time.monotonic() - audited_s >= self._settings.audit_every_s:
                self.audit()
                audited_s = time.monotonic()
            try:
                command = self._queue.get(timeout=self._settings.audit_every_s)
            except queue.Empty:
                continue
            try:
                self._carry_out(command)
            finally:
                self._queue.task_done()

    def _carry_out(self, command: Command | None) -> None:
        if isinstance(command, Release):
            self._give_back(command.resource_id, command.reason)
        elif isinstance(command, Acquire):
            self._buy_all(command)

    def _expect(self, machines: int) -> None:
        with self._counting:
            self._coming += machines

    def _buy_all(self, command: Acquire) -> None:
        """Buy the machines of one decision at once; bills are compared when all orders are through."""
        with ThreadPoolExecutor(min(command.count, self._settings.at_once), "dnaml-order") as buyers:
            orders = [buyers.submit(self._buy, command) for _ in range(command.count)]
            while wait(orders, self._settings.audit_every_s).not_done:
                self._keep_the_cap()
        for order in orders:
            order.result()
        for provider in self._providers:
            if provider.price_usd_per_h(command.template) is not None:
                self._reconcile(provider)
        self.spending.settle()

    def _buy(self, command: Acquire) -> None:
        if not self._bought(command):
            self._expect(-1)

    def _bought(self, command: Acquire) -> bool:
        """Buy one machine from the first provider that delivers; say whether one did."""
        for provider in self._providers:
            price = provider.price_usd_per_h(command.template)
            if price is None or self._stop.is_set():
                continue
            order = self._order(command)
            if not self._reserve(order, price):
                self._refuse(f"{command.template}: the cap of {self.spending.most_usd:g} USD is reached")
                return False
            if self._try(provider, command, order, price):
                return True
        self._refuse(f"{command.template}: no provider delivered")
        return False

    def _reserve(self, order: Order, price: float) -> bool:
        return self.spending.reserve(order.token, price, self._now_s(), hours=self._blind_s / 3600)

    def _order(self, command: Acquire) -> Order:
        token = f"{command.template}-{self._run}{next(self._numbers)}"
        return Order(token=token, template=command.template, until_s=command.until_s)

    def _try(self, provider: Provider, command: Acquire, order: Order, price: float) -> bool:
        """Try to buy one machine; the same token goes with every try, so that a lost answer buys nothing twice."""
        for attempt in range(self._settings.tries):
            if attempt and (self._stop.wait(self._settings.pause_s) or not self._reserve(order, price)):
                return False
            if self._now_s() > order.until_s:
                self.spending.forget(order.token)
                return False
            try:
                resource = self._bounded(partial(provider.acquire, order), partial(self._late, provider, price))
            except (ProviderError, TimeoutError, OSError) as error:
                self._refuse(f"{provider.name}: {error}")
                if isinstance(error, TimeoutError):  # a machine may yet come of it
                    self.spending.end(order.token, self._now_s() + self._blind_s)
                    return False
                self.spending.forget(order.token)
                if isinstance(error, QuotaRefused):
                    return False
                continue
            self.spending.called(order.token, resource.id)
            if self._ask(partial(provider.alive, resource.id)):
                with self._counting:  # at no time both ordered and there, or neither
                    self._owner[resource.id] = provider
                    self._coming -= 1
                self._post(ResourceUp(at_s=self._now_s(), resource=resource))
                return True
            self._refuse(f"{provider.name}: {resource.id} was delivered dead")
            self._ask(partial(provider.release, resource.id))
            self.spending.end(resource.id, self._now_s())
            order = self._order(command)  # the same token would bring the same machine
        return False

    def _late(self, provider: Provider, price: float, resource: Resource) -> None:
        """Give back, and count, what a call delivered after its time limit."""
        self.spending.begin(resource.id, price, self._now_s())
        provider.release(resource.id)
        self.spending.end(resource.id, self._now_s())

    def _give_back(self, resource_id: str, reason: str) -> None:
        provider = self._owner.pop(resource_id, None)
        if provider is None:
            return
        self._post(ResourceDown(at_s=self._now_s(), resource_id=resource_id, reason=reason))
        self._ask(partial(provider.release, resource_id))
        self.spending.end(resource_id, self._now_s())

    def _ask(self, call: Callable[[], T]) -> T | None:
        """Return what a provider answers; None where it fails or hangs."""
        try:
            return self._bounded(call)
        except (ProviderError, TimeoutError, OSError) as error:
            _log.warning("a provider did not answer: %s", error)
            return None

    def _bounded(self, call: Callable[[], T], late: Callable[[T], object] | None = None) -> T:
        """Return what a provider answers within the limit; whatever it raises of its own is a ProviderError."""
        try:
            return limited(call, self._settings.call_limit_s, late)
        except (ProviderError, TimeoutError, OSError):
            raise
        except Exception as error:  # the edge to a provider's own code
            raise ProviderError(f"{type(error).__name__}: {error}") from error

    def _refuse(self, why: str) -> None:
        if not self.refused or self.refused[-1] != why:
            _log.warning("a machine was not delivered: %s", why)
        self.refused.append(why)
