"""How many machines to hold: the budget of a reactive rule, spent by forecasts.

A rule of thumb (so much demand per machine) shows what scaling would cost anyhow. Beside it a shadow fleet follows each
quantile of the forecasts; the highest quantile whose fleet was no dearer so far is the one to follow. Nothing here
knows of events: one bin in, one number of machines out.
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
        self._machines = least

    def wanted(self, demand: float) -> int:
        """Return the machines wanted for what a bin asked of machines."""
        enough = demand / self._share
        if abs(enough - self._machines) > self._tolerance * self._machines:
            self._machines = max(self._least, math.ceil(enough))
        return self._machines


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
    up for over `patience` bins, too much `overspent_times` as fast. No quantile above `most_level` is asked for: beyond
    it a machine prevents less than one bad bin in 1 / (1 - most_level). With `least_machines` 0 no machine is held for
    less than a twentieth of what it carries.
    """

    lead: int
    budget_share: float = 0.99
    reactive_share: float = 0.7
    reactive_window: int = 5
    patience: float = 100.0
    overspent_times: float = 4.0
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

    A forecast made now is about the bin `lead` ahead; until then what is wanted is the most of the forecasts on their
    way, for a machine given back sooner could not be back in time.
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
        self._shadows = [Fleet(settings.lead, machines=machines, least=least) for _ in kept]
        self._ahead = np.full((settings.lead, len(kept)), least, dtype=np.int64)  # [lead, K], the newest last
        self._bins = 0
        self._costs = np.zeros(len(kept))
        self._allowed = 0.0
        self._spent = 0.0

    @property
    def behind(self) -> float:
        """Return how many machine-bins fewer than its budget were spent; negative: too many."""
        return self._allowed - self._spent

    def wanted(self, demand: float, forecast: FloatArray | None, machines: int) -> int:
        """Return the machines wanted; without a forecast the reactive rule answers.

        `demand` is what the bin that ended asked of machines, `forecast` the quantiles [K] of the bin `lead` ahead in
        machines too, and `machines` how many there were in that bin.
        """
        reactive = self._rule.wanted(demand)
        least = self._settings.least_machines
        row = np.full(len(self._kept), reactive) if forecast is None else _machines(forecast[self._kept], least)
        self._ahead = np.vstack([self._ahead[1:], row])
        wanted = self._ahead.max(axis=0)  # [K]
        self._spent += machines
        self._allowed += self._reference.follow(reactive) * self._settings.budget_share
        self._costs += [shadow.follow(int(want)) for shadow, want in zip(self._shadows, wanted, strict=True)]
        self._bins += 1
        haste = self._settings.overspent_times if self.behind < 0 else 1.0
        affordable = self._allowed + haste * self.behind * self._bins / self._settings.patience
        best = int(np.searchsorted(np.maximum.accumulate(self._costs), affordable, side="right")) - 1
        self.level = self.levels[max(0, best)]
        return int(wanted[max(0, best)])


def _machines(demand: FloatArray, least: int) -> FloatArray:
    """Return whole machines [K] that carry a demand in machines; `least` where there is next to none."""
    whole: FloatArray = np.maximum(least, np.ceil(demand - _TINY))
    return whole if least else np.where(demand < _WORTH_A_MACHINE, 0.0, whole)


def newsvendor_level(short_usd: float, idle_usd: float) -> float:
    """Return the quantile at which one more machine costs as much idle as it saves when it is short, in [0, 1]."""
    if not (short_usd >= 0 and idle_usd >= 0 and short_usd + idle_usd > 0):
        raise InputError(f"newsvendor: costs must be not negative and not both 0, got {short_usd}, {idle_usd}")
    return short_usd / (short_usd + idle_usd)
