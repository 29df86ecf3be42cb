"""Scaling before demand: watches what is submitted, forecasts it, and says which machines to acquire or release.

A `Scaler` is pure and deterministic: events and times in, `Acquire` and `Release` out. The same one runs in a
simulation and beside the live engine, where a provider carries out what it says. Forecasters come as values with two
methods, so that nothing here knows how they were made.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dnaml.core.errors import InputError
from dnaml.core.events import Acquire, Command, Event, Release
from dnaml.core.plan import FloatArray
from dnaml.core.work import Computation
from dnaml.schedule.scaling_demand import Demand, LeadTime
from dnaml.schedule.scaling_rule import Pacing, PacingSettings, newsvendor_level


class DemandForecaster(Protocol):
    """Forecasts what a bin some way ahead will ask; see `dnaml.predict.demand`."""

    def learn(self, values: Sequence[float]) -> None:
        """Take in bins of long ago, oldest first; no forecast is asked for between them."""
        ...

    def observe(self, value: float) -> None:
        """Take in the demand of the next bin."""
        ...

    def forecast(self) -> FloatArray | None:
        """Return quantiles [K]; None while too little is known."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A kind of machine that can be had: `rate` seconds of counted work a second; `quantum_s` is paid for at least."""

    name: str
    price_usd_per_h: float = 0.0
    rate: float = 1.0
    lead_s: float = 120.0
    quantum_s: float = 0.0

    def __post_init__(self) -> None:
        """Raise InputError for a machine that cannot be."""
        if not (self.rate > 0 and math.isfinite(self.rate)):
            raise InputError(f"{self.name}: rate must be positive, got {self.rate}")
        for name in ("price_usd_per_h", "lead_s", "quantum_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{self.name}: {name} must be finite and not negative, got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingSettings:
    """How a scaler decides; `levels` are those of its forecaster's quantiles.

    `short_usd_per_h` is what an hour without a machine that was needed costs: it caps the quantile (newsvendor).
    `most_usd_per_h` caps what all machines together cost. A machine goes after `release_after_bins` without need, and
    one ordered but not there after three lead times is no longer expected. `most_bins` are kept; where forecasts begin
    anew on them, only those of the newest `judged_bins` are made and judged.
    """

    levels: tuple[float, ...]
    bin_s: float = 60.0
    least_machines: int = 1
    most_machines: int = 100
    most_usd_per_h: float = math.inf
    release_after_bins: int = 3
    most_at_once: int = 50
    budget_share: float = 0.98
    reactive_share: float = 0.7
    wait_target_s: float = 60.0
    short_usd_per_h: float | None = None
    most_bins: int = 8192
    judged_bins: int = 150

    def __post_init__(self) -> None:
        """Raise InputError for settings that cannot be kept."""
        if not (math.isfinite(self.bin_s) and self.bin_s > 0):
            raise InputError(f"scaling: bin_s must be positive, got {self.bin_s}")
        if not 0 <= self.least_machines <= self.most_machines:
            least, most = self.least_machines, self.most_machines
            raise InputError(f"scaling: machines must be 0 <= least <= most, got {least} and {most}")
        if self.release_after_bins < 1 or self.most_at_once < 1:
            raise InputError(f"scaling: release_after_bins and most_at_once must be at least 1, got {self}")
        if not self.most_usd_per_h >= 0:
            raise InputError(f"scaling: most_usd_per_h must not be negative, got {self.most_usd_per_h}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine of the scaled pool, up since `up_at_s`."""

    id: str
    up_at_s: float
    busy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolView:
    """What a scaler is told of the pool: machines that are up and ordered, how long work waits, and how much of it.

    `leaving` machines are told to go and not gone yet. `own_rate` is how many seconds of work a second is done by
    resources that are there anyhow.
    """

    machines: Sequence[Machine]
    coming: int = 0
    leaving: int = 0
    wait_s: float = 0.0
    waiting_work_s: float = 0.0
    own_rate: float = 0.0


class Scaler:
    """Decides how many machines of one template there should be; `choose` picks the template among several."""

    def __init__(
        self,
        template: Template,
        make: Callable[[int], DemandForecaster],
        settings: ScalingSettings,
        seconds_of: Callable[[Computation], float],
    ) -> None:
        self.template = template
        self._settings = settings
        self._make = make
        self._demand = Demand(settings.bin_s, seconds_of)
        self.lead = LeadTime(template.lead_s)
        self._past: deque[float] = deque(maxlen=settings.most_bins)
        self._wanted: deque[int] = deque(maxlen=settings.release_after_bins)
        self._target = settings.least_machines
        self._machines = settings.least_machines
        self._own = 0
        self._prepare()

    @property
    def level(self) -> float:
        """Return the quantile that is followed at present."""
        return self._pacing.level

    @property
    def ahead(self) -> int:
        """Return how many bins ahead demand is forecast."""
        return self._ahead

    @property
    def usual_s(self) -> float:
        """Return the seconds of work of a usual submission of late; 0 before the first."""
        return self._demand.usual_s

    @property
    def target(self) -> int:
        """Return how many machines are wanted at present, beside what other resources carry."""
        return self._within(self._target - self._own)

    @property
    def past_s(self) -> tuple[float, ...]:
        """Return the seconds of work submitted in each bin that is kept, oldest first."""
        return tuple(demand * self._settings.bin_s * self.template.rate for demand in self._past)

    @property
    def closed_s(self) -> float | None:
        """Return when the newest bin ended; None before the first event."""
        return self._demand.closed_s

    def remember(self, work_s: Sequence[float], closed_s: float, leads_s: Sequence[float] = ()) -> None:
        """Take in the bins, up to `closed_s`, and the lead times that an earlier scaler saw; before the first event."""
        self._demand.go_on(closed_s)
        self._past.extend(one / self._settings.bin_s / self.template.rate for one in work_s)
        for seconds in leads_s:
            self.lead.observe(seconds)
        self._prepare()

    def forecast(self) -> FloatArray | None:
        """Return the quantiles [K] of the bin `ahead` bins after the newest, in machines; None: too little is known."""
        return self._forecaster.forecast()

    def observe(self, event: Event) -> None:
        """Take in an event of the engine."""
        for work_s in self._demand.observe(event):
            self._close(work_s)

    def came(self, seconds: float) -> None:
        """Take in that a machine worked so long after it was ordered; a lead that grew or shrank is forecast anew."""
        self.lead.observe(seconds)
        if self.lead.bins(self._settings.bin_s) != self._ahead:
            self._prepare()

    def decide(self, at_s: float, view: PoolView) -> tuple[Command, ...]:
        """Return what to order or give back now: at most one Acquire, or a Release for each machine too many."""
        self._own = math.floor(view.own_rate / self.template.rate)
        self._machines = len(view.machines) + self._own
        for work_s in self._demand.until(at_s):
            self._close(work_s)
        target = self._within(max(self._target - self._own, self._guard(view)))
        there = len(view.machines) + view.coming
        if target > there:
            most = self._settings.most_machines - there - view.leaving
            count = min(target - there, self._settings.most_at_once, most)
            return (self._acquire(at_s, count, view),) if count > 0 else ()
        keep = self._within(max([target, *(wanted - self._own for wanted in self._wanted)]))
        return self._release(at_s, view, there - keep)

    def _prepare(self) -> None:
        """Make forecasters and pacing for the present lead, and let them see the past again."""
        settings = self._settings
        self._ahead = self.lead.bins(settings.bin_s)
        self._forecaster = self._make(self._ahead)
        level = settings.levels[-1]
        if settings.short_usd_per_h is not None:
            level = newsvendor_level(settings.short_usd_per_h, self.template.price_usd_per_h)
        pacing = PacingSettings(
            lead=self._ahead,
            budget_share=settings.budget_share,
            reactive_share=settings.reactive_share,
            most_level=max(level, 0.5),
            least_machines=min(1, settings.least_machines),
        )
        self._pacing = Pacing(pacing, settings.levels)
        past = list(self._past)
        unjudged = max(0, len(past) - settings.judged_bins)
        self._forecaster.learn(past[:unjudged])
        for demand in past[unjudged:]:
            self._forecaster.observe(demand)
            self._target = self._pacing.wanted(demand, self._forecaster.forecast(), None)

    def _close(self, work_s: float) -> None:
        demand = work_s / self._settings.bin_s / self.template.rate
        self._past.append(demand)
        self._forecaster.observe(demand)
        self._target = self._pacing.wanted(demand, self._forecaster.forecast(), self._machines)
        self._wanted.append(self._target)

    def _guard(self, view: PoolView) -> int:
        """Return the machines that work off what waits too long within the target, whatever was forecast."""
        if view.wait_s <= self._settings.wait_target_s:
            return 0
        more = view.waiting_work_s / self.template.rate / max(self._settings.wait_target_s, self._settings.bin_s)
        return len(view.machines) + max(1, math.ceil(more))

    def _within(self, machines: int) -> int:
        settings = self._settings
        most = settings.most_machines
        if self.template.price_usd_per_h > 0 and math.isfinite(settings.most_usd_per_h):
            most = min(most, int(settings.most_usd_per_h / self.template.price_usd_per_h))
        return min(max(machines, settings.least_machines), most)

    def _acquire(self, at_s: float, count: int, view: PoolView) -> Acquire:
        guarded = view.wait_s > self._settings.wait_target_s
        why = (
            f"work waits {view.wait_s:.0f} s"
            if guarded
            else f"forecast at {self.level:.1%} for {self._ahead} bins ahead"
        )
        return Acquire(
            template=self.template.name, count=count, reason=why, until_s=at_s + max(3 * self.lead.p95_s, 60.0)
        )

    def _release(self, at_s: float, view: PoolView, most: int) -> tuple[Command, ...]:
        """Return the releases of idle machines whose paid time is nearly over, those up for longest first."""
        quantum_s = self.template.quantum_s
        idle = []
        for machine in sorted(view.machines, key=lambda one: (one.up_at_s, one.id)):
            used_s = at_s - machine.up_at_s
            left_s = math.ceil(used_s / quantum_s) * quantum_s - used_s if quantum_s > 0 else 0.0
            if not machine.busy and left_s <= self._settings.bin_s:
                idle.append(machine.id)
        why = f"{self.target} machines are enough at {self.level:.1%}"
        return tuple(Release(resource_id=one, reason=why) for one in idle[: max(0, most)])


def choose(templates: Sequence[Template]) -> Template:
    """Return the template whose work is cheapest, the sooner one among equals; raise InputError without any."""
    if not templates:
        raise InputError("scaling: there is no template of a machine to choose from")
    return min(templates, key=lambda one: (one.price_usd_per_h / one.rate, one.lead_s, one.name))
