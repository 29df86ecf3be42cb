"""How many machines to hold: the budget of a reactive rule, spent by forecasts.

A rule of thumb (so much demand per machine) shows what scaling would cost anyhow. Beside it a shadow fleet follows each
quantile of the forecasts; the highest quantile whose fleet was no dearer so far, or one between two, is the one to
follow. Nothing here knows of events: one bin in, one number of machines out.
"""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from dnaml.core.errors import InputError
from dnaml.core.plan import FloatArray

_TINY = 1e-9
_WORTH_A_MACHINE = 0.05


class Reactive:
    """Wants as many machines as keep each at a share of its capacity; small changes of demand are ignored."""

    def __init__(self, *, share: float = 0.7, tolerance: float = 0.1, least: int = 1) -> None:
        if not 0 < share <= 1:
            raise InputError(f"reactive rule: the share of a machine in use must be in (0, 1], got {share}")
        self._share = share
        self._tolerance = tolerance
        self._least = least
        self.machines = least

    def wanted(self, demand: float) -> int:
        """Return the machines wanted for what a bin asked of machines."""
        enough = demand / self._share
        if abs(enough - self.machines) > self._tolerance * self.machines:
            self.machines = max(self._least, math.ceil(enough))
        return self.machines


class Fleet:
    """Counts machines that follow what is wanted: ordered ones come `lead` bins later, released ones go at once.

    A machine is released when none of the last `window` bins wanted it.
    """

    def __init__(self, lead: int, *, window: int = 1, machines: int = 1, least: int = 1) -> None:
        self.machines = machines
        self._least = least
        self._coming: deque[int] = deque([0] * (lead - 1))
        self._wanted: deque[int] = deque(maxlen=window)

    def follow(self, wanted: int) -> int:
        """Order or release, let a bin pass, and return the machines of the next bin."""
        self._wanted.append(wanted)
        ordered = max(0, wanted - self.machines - sum(self._coming))
        if not ordered:
            self.machines = max(self._least, min(self.machines, max(self._wanted)))
        self._coming.append(ordered)
        self.machines += self._coming.popleft()
        return self.machines


@dataclass(frozen=True, slots=True, kw_only=True)
class PacingSettings:
    """How a budget is spent: `lead` bins until an ordered machine works.

    The budget is `budget_share` of what the reactive rule costs at `reactive_share`. What was spent too little is made
    up for over `patience` bins, or later over a share of 1 in `most_haste` of all bins, too much `overspent_times` as
    fast. No quantile above `most_level` is asked for: beyond
    it a machine prevents less than one bad bin in 1 / (1 - most_level). With `least_machines` 0 no machine is held for
    less than a twentieth of what it carries.
    """

    lead: int
    budget_share: float = 0.98
    reactive_share: float = 0.7
    reactive_window: int = 5
    patience: float = 30.0
    most_haste: float = 16.0
    overspent_times: float = 2.0
    most_level: float = 0.998
    least_level: float = 0.5
    least_machines: int = 1

    def __post_init__(self) -> None:
        """Raise InputError for a lead or a budget that cannot be."""
        if self.lead < 1:
            raise InputError(f"pacing: lead must be at least 1 bin, got {self.lead}")
        if not self.budget_share > 0:
            raise InputError(f"pacing: budget_share must be positive, got {self.budget_share}")


class Pacing:
    """Turns forecasts into machines, bin by bin, at the cost of the reactive rule.

    A forecast made now is about the bin `lead` ahead. The rungs of the ladder are the quantiles of the newest
    forecast, and above them the highest quantile of all forecasts on their way: whoever can afford it holds what was
    wanted of the bins between too.
    """

    def __init__(self, settings: PacingSettings, levels: tuple[float, ...], *, machines: int = 1) -> None:
        self._settings = settings
        kept = [k for k, one in enumerate(levels) if settings.least_level <= one <= settings.most_level]
        if not kept:
            raise InputError(f"pacing: no level of {levels} is in [{settings.least_level}, {settings.most_level}]")
        self._kept = np.array(kept)
        self.levels = tuple(levels[k] for k in kept)
        self.level = self.levels[0]
        least = settings.least_machines
        self._rule = Reactive(share=settings.reactive_share, least=least)
        self._reference = Fleet(settings.lead, window=settings.reactive_window, machines=machines, least=least)
        self._shadows = [Fleet(settings.lead, machines=machines, least=least) for _ in range(len(kept) + 1)]
        self._highest = deque([least] * settings.lead, maxlen=settings.lead)
        self._bins = 0
        self._costs = np.zeros(len(kept) + 1)
        self._allowed = 0.0
        self.behind = 0.0
        """how many machine-bins fewer than the budget were spent; negative: too many"""

    def wanted(self, demand: float, forecast: FloatArray | None, machines: int | None) -> int:
        """Return the machines wanted; without a forecast the reactive rule answers.

        `demand` is what the bin that ended asked of machines, `forecast` the quantiles [K] of the bin `lead` ahead in
        machines too, and `machines` how many there were in that bin: None while nothing is spent and it only watches.
        """
        rungs = self._rungs(demand, forecast)  # [K + 1]
        allowed = self._reference.follow(self._rule.machines) * self._settings.budget_share
        self._allowed += allowed
        self._costs += [shadow.follow(int(rung)) for shadow, rung in zip(self._shadows, rungs, strict=True)]
        if machines is not None:
            self.behind += allowed - machines
            self._bins += 1
        rung, share = self._affordable()
        if rung + 1 >= len(self.levels):
            self.level = self.levels[-1]
            return int(rungs[rung])
        self.level = self.levels[rung] + share * (self.levels[rung + 1] - self.levels[rung])
        if forecast is None:
            return int(rungs[rung])
        low, high = forecast[self._kept[rung : rung + 2]]
        return int(_machines(low + share * (high - low), self._settings.least_machines))

    def _rungs(self, demand: float, forecast: FloatArray | None) -> FloatArray:
        """Return the machines that each rung wants [K + 1]."""
        reactive = self._rule.wanted(demand)
        if forecast is None:
            row = np.full(len(self._kept), float(reactive))
        else:
            row = _machines(forecast[self._kept], self._settings.least_machines)
        self._highest.append(int(row[-1]))
        return np.append(row, max(self._highest))

    def _affordable(self) -> tuple[int, float]:
        """Return the highest rung whose fleet was no dearer than the budget, and how far on to the next it reaches."""
        settings = self._settings
        haste = min(self._bins / settings.patience, settings.most_haste)
        haste *= settings.overspent_times if self.behind < 0 else 1.0
        budget = self._allowed + haste * self.behind
        costs = np.maximum.accumulate(self._costs)
        rung = int(np.searchsorted(costs, budget, side="right")) - 1
        if rung < 0:
            return 0, 0.0
        if rung + 1 == len(costs):
            return rung, 0.0
        return rung, float((budget - costs[rung]) / (costs[rung + 1] - costs[rung]))


def _machines(demand: FloatArray, least: int) -> FloatArray:
    """Return whole machines [...] that carry a demand [...] in machines; `least` where there is next to none."""
    whole: FloatArray = np.maximum(least, np.ceil(demand - _TINY))
    return whole if least else np.where(demand < _WORTH_A_MACHINE, 0.0, whole)


def newsvendor_level(short_usd: float, idle_usd: float) -> float:
    """Return the quantile at which one more machine costs as much idle as it saves when it is short, in [0, 1]."""
    if not (short_usd >= 0 and idle_usd >= 0 and short_usd + idle_usd > 0):
        raise InputError(f"newsvendor: costs must be not negative and not both 0, got {short_usd}, {idle_usd}")
    return short_usd / (short_usd + idle_usd)
