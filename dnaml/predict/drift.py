"""Notices that a resource or a computation is no longer what it was, and says what to do about it.

Each keeps a two-sided Page-Hinkley sum of its standardised innovations, ln seconds measured less predicted over the sd
stated before the run; their mean is known to be zero while nothing changes. When many resources of a pool drift within
a day, the model itself is at fault. Values; what changes returns another one. Standard library only.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from dnaml.core.errors import InputError

SLACK = 0.5  # sd: a shift of half as much again as this is worth noticing
BOUND = 10.0  # sums of clean innovations (Student-t, 4 degrees of freedom) reach it once in 100,000 runs
CLIP = 3.0  # sd: so that one bad run is no drift
WIDEN = 4.0  # times the prior covariance
ANCHORS = 3  # runs that tell what an entity has become
POOL_SHARE, POOL_LEAST = 1 / 3, 3  # of the resources that ran within POOL_WINDOW_S, and never fewer than
POOL_WINDOW_S = 86_400.0


class Subject(Enum):
    """Is what an alarm is about."""

    RESOURCE = "resource"
    COMPUTATION = "computation"
    COVERAGE = "coverage"  # a group of predictions whose intervals hold too little or too much
    POOL = "pool"  # so many resources that the model is at fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Says that a statistic passed its bound; the sign of `statistic` is that of the change (positive: slower)."""

    subject: Subject
    id: str
    at_s: float
    statistic: float
    bound: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What an alarm asks for: wider uncertainty, runs to repeat, the fallback meanwhile."""

    widen: float = 1.0
    stale: bool = False
    anchors: int = 0
    fallback: bool = False


def response(alarm: Alarm) -> Response:
    """Return what to do about an alarm."""
    if alarm.subject is Subject.POOL:
        return Response(widen=WIDEN, stale=True, anchors=ANCHORS, fallback=True)
    if alarm.subject is Subject.COVERAGE:
        return Response(widen=WIDEN)
    return Response(widen=WIDEN, stale=True, anchors=ANCHORS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageHinkley:
    """Sums of innovations beyond a slack, upwards and downwards, since each was last at zero (Page, 1954)."""

    up: float = 0.0
    down: float = 0.0

    def updated(self, innovation: float) -> "PageHinkley":
        """Return the sums with one more standardised innovation; it counts as at most CLIP."""
        value = max(-CLIP, min(CLIP, innovation))
        return PageHinkley(up=max(0.0, self.up + value - SLACK), down=max(0.0, self.down - value - SLACK))

    @property
    def statistic(self) -> float:
        """Return the larger sum, negative when it is the downward one."""
        return self.up if self.up >= self.down else -self.down


@dataclass(frozen=True, slots=True, kw_only=True)
class Innovation:
    """One run beside what was predicted for it: ln seconds measured less predicted, and the sd stated beforehand."""

    resource_id: str
    computation_id: str
    at_s: float
    log_error: float
    sd: float

    def __post_init__(self) -> None:
        """Raise InputError on a number that cannot be true."""
        if not math.isfinite(self.log_error):
            raise InputError(f"{self.resource_id}: log_error must be finite, got {self.log_error}")
        if not (math.isfinite(self.sd) and self.sd > 0):
            raise InputError(f"{self.resource_id}: sd must be positive and finite, got {self.sd}")

    @property
    def standardised(self) -> float:
        """Return the error in units of the stated sd."""
        return self.log_error / self.sd


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What is kept of one resource or computation; stale until it has run `anchors_left` more times."""

    sums: PageHinkley = field(default_factory=PageHinkley)
    last_s: float = -math.inf
    alarm_s: float = -math.inf
    anchors_left: int = 0

    def updated(self, innovation: float, at_s: float) -> "Watched":
        """Return the state after one more run; sums start afresh when they pass the bound."""
        sums = self.sums.updated(innovation)
        last_s = max(self.last_s, at_s)
        if abs(sums.statistic) > BOUND:
            return Watched(last_s=last_s, alarm_s=at_s, anchors_left=ANCHORS)
        return replace(self, sums=sums, last_s=last_s, anchors_left=max(self.anchors_left - 1, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftWatch:
    """Watches every resource and computation of a pool; `alarms` are those that the last update raised."""

    resources: Mapping[str, Watched] = field(default_factory=dict)
    computations: Mapping[str, Watched] = field(default_factory=dict)
    pool_alarm_s: float = -math.inf
    alarms: tuple[Alarm, ...] = ()

    def updated(self, innovations: Iterable[Innovation]) -> "DriftWatch":
        """Return the watch that knows these runs too, in the order given. Costs a copy of what is kept, per call."""
        resources, computations = dict(self.resources), dict(self.computations)
        alarms: list[Alarm] = []
        pool_alarm_s = self.pool_alarm_s
        for one in innovations:
            raised = _observe(resources, Subject.RESOURCE, one.resource_id, one)
            alarms += raised
            alarms += _observe(computations, Subject.COMPUTATION, one.computation_id, one)
            if raised and one.at_s - pool_alarm_s > POOL_WINDOW_S:
                whole = _pool_alarm(resources, one.at_s)
                if whole is not None:
                    alarms.append(whole)
                    pool_alarm_s = one.at_s
        return DriftWatch(
            resources=resources, computations=computations, pool_alarm_s=pool_alarm_s, alarms=tuple(alarms)
        )

    def is_stale(self, *, resource_id: str | None = None, computation_id: str | None = None) -> bool:
        """Say whether one of them drifted and has not yet run ANCHORS times since."""
        kept = (self.resources.get(resource_id or ""), self.computations.get(computation_id or ""))
        return any(one is not None and one.anchors_left > 0 for one in kept)

    def anchors_left(self, resource_id: str) -> int:
        """Return how many runs are still asked of a resource before its predictions are trusted again."""
        return self.resources.get(resource_id, Watched()).anchors_left

    def pool_is_stale(self, at_s: float) -> bool:
        """Say whether a pool-wide alarm was raised within POOL_WINDOW_S before a moment and no fit followed it."""
        return at_s - self.pool_alarm_s <= POOL_WINDOW_S

    def refitted(self) -> "DriftWatch":
        """Return the watch after the model was fitted again: nothing is stale, all sums start afresh."""
        return DriftWatch()


def _observe(kept: dict[str, Watched], subject: Subject, name: str, one: Innovation) -> list[Alarm]:
    before = kept.get(name, Watched())
    statistic = before.sums.updated(one.standardised).statistic
    kept[name] = before.updated(one.standardised, one.at_s)
    if abs(statistic) <= BOUND:
        return []
    return [Alarm(subject=subject, id=name, at_s=one.at_s, statistic=statistic, bound=BOUND)]


def _pool_alarm(resources: Mapping[str, Watched], at_s: float) -> Alarm | None:
    """Return an alarm when too many of the resources that ran lately drifted lately."""
    lately = [one for one in resources.values() if at_s - one.last_s <= POOL_WINDOW_S]
    drifted = sum(at_s - one.alarm_s <= POOL_WINDOW_S for one in lately)
    least = max(POOL_LEAST, POOL_SHARE * len(lately))
    if drifted < least:
        return None
    return Alarm(subject=Subject.POOL, id="pool", at_s=at_s, statistic=float(drifted), bound=float(least))
