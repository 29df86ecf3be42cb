"""What is expected of demand, and what scaling would do about it: the scaler itself, asked without being obeyed.

The bins of demand are played to the forecasters and the scaler that would run a pool; machines are slots like those of
the cheapest resource per slot.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dnaml.answers.demanded import DemandNow
from dnaml.core.events import Acquire, Release
from dnaml.core.resource import Resource
from dnaml.predict.demand.forecaster import LEVELS
from dnaml.predict.demand.standard import standard
from dnaml.schedule.scaling import Machine, PoolView, Scaler, ScalingSettings, Template, choose
from dnaml.schedule.scaling_demand import LeadTime

FloatArray = npt.NDArray[np.float64]
SHOWN = (0.1, 0.5, 0.9, 0.98)
"""the quantiles of a forecast that are told"""

LEAD_S = 120.0  # until an ordered machine works, where a resource does not say
FEWEST_BINS = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expected:
    """What was said of each bin `ahead` bins before it, and of those to come: quantiles [N + ahead, 4] at SHOWN.

    NaN where too little was known; `seconds` [N] is what came. `inside` is the share of bins between the outer two of
    p10-p90, of `judged` bins.
    """

    ahead: int
    seconds: FloatArray
    said: FloatArray
    inside: float
    judged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What scaling would start from: slots that take work by resource, those that are busy, and what waits."""

    resources: Sequence[Resource]
    busy: int = 0
    waiting: int = 0
    waited_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What scaling would do now: slots to acquire (negative: to release) of how many, and why; prices are of a slot."""

    like: str
    slots: int
    target: int
    change: int
    reason: str
    price_usd_per_h: float | None
    lead_s: float
    level: float
    ahead: int
    bin_s: float


def expected(seconds: FloatArray, ahead: int, bin_s: float) -> Expected:
    """Return what the forecasters said of whole bins [N] of work as they came, and say of the next ones."""
    competition = standard(ahead, bin_s, trained=False)
    places = [LEVELS.index(level) for level in SHOWN]
    said = np.full((len(seconds) + ahead, len(SHOWN)), np.nan)
    for place, value in enumerate(seconds.tolist()):
        competition.observe(value)
        found = competition.forecast()
        if found is not None:
            said[place + ahead] = found[places]
    before = said[: len(seconds)]
    known = ~np.isnan(before[:, 0])
    inside = (before[known, 0] <= seconds[known]) & (seconds[known] <= before[known, 2])
    return Expected(
        ahead=ahead,
        seconds=seconds,
        said=said,
        inside=float(inside.mean()) if len(inside) else math.nan,
        judged=int(known.sum()),
    )


def template_of(resources: Sequence[Resource]) -> tuple[Template, Resource] | None:
    """Return a slot of the resource whose slots are cheapest, and that resource; None without any."""
    by_name = {one.id: one for one in resources}
    known = [
        Template(
            name=one.id,
            price_usd_per_h=(one.price_usd_per_h or 0.0) / one.slots,
            lead_s=one.startup_s if one.startup_s is not None else LEAD_S,
        )
        for one in resources
    ]
    priced = [one for one in known if by_name[one.name].price_usd_per_h is not None]
    if not known:
        return None
    found = choose(priced or known)
    return found, by_name[found.name]


def ahead_of(resources: Sequence[Resource], bin_s: float) -> int:
    """Return how many bins ahead demand must be known for a machine ordered now to be there, as the scaler begins."""
    found = template_of(resources)
    return LeadTime(found[0].lead_s if found is not None else LEAD_S).bins(bin_s)


def advised(demand: DemandNow, pool: Pool, at_s: float) -> Advice | None:
    """Return what scaling would do now; None without a resource or with too little demand seen."""
    found = template_of(pool.resources)
    if found is None or demand.bins < FEWEST_BINS:
        return None
    template, like = found
    slots = sum(one.slots for one in pool.resources)
    settings = ScalingSettings(levels=LEVELS, bin_s=demand.width_s, most_machines=max(100, 10 * slots))
    scaler = Scaler(template, lambda ahead: standard(ahead, demand.width_s, trained=False), settings, lambda _: 0.0)
    scaler.remember(demand.closed().tolist(), demand.first_s + (demand.bins - 1) * demand.width_s)
    view = PoolView(
        machines=tuple(Machine(id=str(n), up_at_s=0.0, busy=n < pool.busy) for n in range(slots)),
        wait_s=pool.waited_s,
        waiting_work_s=_waiting_s(demand, pool),
    )
    commands = scaler.decide(at_s, view)
    acquired = sum(one.count for one in commands if isinstance(one, Acquire))
    released = sum(isinstance(one, Release) for one in commands)
    why = next((one.reason for one in commands if isinstance(one, Acquire | Release)), "")
    return Advice(
        like=like.id,
        slots=slots,
        target=scaler.target,
        change=acquired - released,
        reason=why or f"{scaler.target} slots are wanted at {scaler.level:.1%} for {scaler.ahead} bins ahead",
        price_usd_per_h=None if like.price_usd_per_h is None else template.price_usd_per_h,
        lead_s=template.lead_s,
        level=scaler.level,
        ahead=scaler.ahead,
        bin_s=demand.width_s,
    )


def _waiting_s(demand: DemandNow, pool: Pool) -> float:
    """Return the seconds of work that wait: as many jobs at what a job asks for on average."""
    jobs = sum(float(one.sum()) for one in demand.jobs.values())
    return pool.waiting * float(demand.total().sum()) / max(jobs, 1.0)
