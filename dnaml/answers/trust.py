"""How far predictions can be trusted: coverage, errors over time and by name, and who answered; in bounded memory.

`Trust` takes in decisions and judged runs one by one; `now` returns what a page or table shows of them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dnaml.answers.judged import LEVELS, Judged
from dnaml.answers.timeline import Timeline
from dnaml.predict.coverage import CoverageWatch
from dnaml.predict.drift import Alarm

OTHERS = "(others)"
MOST_NAMES = 1_000  # resources or kernels told apart
STEP_LOG = 0.05  # a class of the ratio measured over predicted: 5 %
LARGEST_LOG = math.log(100.0)
MOST_SPANS, FEWEST_A_SPAN = 40, 5  # of time
_RUNS, _INSIDE = "runs", "inside"
_UNDER = tuple(f"under {level}" for level in LEVELS)
_GROUP = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelMet:
    """A stated level, the share of runs that stayed below it, and that share's standard error."""

    stated: float
    met: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The runs that ended within a span of time: quantiles of measured over predicted, share inside p10-p90."""

    at_s: float
    until_s: float
    runs: int
    ratio_p10: float
    ratio_p50: float
    ratio_p90: float
    inside: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NameMet:
    """The runs of one resource or kernel: how many, share inside p10-p90, geometric mean of measured over predicted."""

    name: str
    runs: int
    inside: float
    ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustNow:
    """Everything at one moment; `alarm` says that coverage over 30 days is further off than chance allows."""

    runs: int
    inside: float
    levels: Sequence[LevelMet]
    spans: Sequence[Span]
    resources: Sequence[NameMet]
    kernels: Sequence[NameMet]
    paths: Mapping[str, int]
    """decisions by who answered them, most first"""
    alarm: Alarm | None = None


@dataclass(slots=True)
class _Met:
    runs: int = 0
    inside: int = 0
    log_ratio: float = 0.0


class Trust:
    """Counts of one tenant; not safe to use from several threads at once."""

    def __init__(self) -> None:
        self._time: Timeline[str | int] = Timeline(most=120)
        self._paths: dict[str, int] = {}
        self._resources: dict[str, _Met] = {}
        self._kernels: dict[str, _Met] = {}
        self._watch = CoverageWatch()

    def decided(self, path: str) -> None:
        """Count a decision by who answered it."""
        name = path if path in self._paths or len(self._paths) < MOST_NAMES else OTHERS
        self._paths[name] = self._paths.get(name, 0) + 1

    def judged(self, one: Judged) -> None:
        """Take in a run beside what was said of it."""
        ratio = max(-LARGEST_LOG, min(LARGEST_LOG, one.log_ratio))
        inside = one.inside
        counted = [name for name, below in zip(_UNDER, one.below, strict=True) if below]
        counted += [_RUNS, _INSIDE] if inside else [_RUNS]
        self._time.count(one.at_s, [*counted, round(ratio / STEP_LOG)])
        self._watch = self._watch.updated(_GROUP, inside=inside, at_s=one.at_s)
        for kept, name in ((self._resources, one.resource_id), (self._kernels, one.kernel)):
            met = kept.setdefault(name if name in kept or len(kept) < MOST_NAMES else OTHERS, _Met())
            met.runs += 1
            met.inside += inside
            met.log_ratio += ratio

    def now(self, at_s: float) -> TrustNow:
        """Return what is known at a moment."""
        totals = self._time.totals()
        runs = int(totals.get(_RUNS, 0))
        return TrustNow(
            runs=runs,
            inside=totals.get(_INSIDE, 0.0) / runs if runs else math.nan,
            levels=[_level(*one, totals, runs) for one in zip(LEVELS, _UNDER, strict=True)] if runs else [],
            spans=list(_spans(self._time, least=max(FEWEST_A_SPAN, runs / MOST_SPANS))),
            resources=_named(self._resources),
            kernels=_named(self._kernels),
            paths=dict(sorted(self._paths.items(), key=lambda item: (-item[1], item[0]))),
            alarm=self._watch.alarm(_GROUP, at_s=at_s),
        )


def _level(level: float, under: str, totals: Mapping[str | int, float], runs: int) -> LevelMet:
    met = totals.get(under, 0.0) / runs
    return LevelMet(stated=level, met=met, error=math.sqrt(met * (1.0 - met) / runs))


def _spans(time: Timeline[str | int], least: float) -> Iterator[Span]:
    """Yield bins joined until each holds so many runs; the last may hold fewer."""
    joined: dict[str | int, float] = {}
    from_s = 0.0
    bins = [one for one in time.bins() if one.amounts]
    for place, one in enumerate(bins):
        from_s = from_s if joined else one.at_s
        for key, amount in one.amounts.items():
            joined[key] = joined.get(key, 0.0) + amount
        if joined[_RUNS] >= least or place == len(bins) - 1:
            yield _span(joined, from_s, one.at_s + time.width_s)
            joined = {}


def _span(amounts: Mapping[str | int, float], from_s: float, until_s: float) -> Span:
    runs = int(amounts[_RUNS])
    classes = sorted((key, count) for key, count in amounts.items() if isinstance(key, int))
    low, middle, high = (math.exp(STEP_LOG * _quantile(classes, level * runs)) for level in LEVELS)
    return Span(
        at_s=from_s,
        until_s=until_s,
        runs=runs,
        ratio_p10=low,
        ratio_p50=middle,
        ratio_p90=high,
        inside=amounts.get(_INSIDE, 0.0) / runs,
    )


def _quantile(classes: Sequence[tuple[int, float]], wanted: float) -> int:
    """Return the class in which the run number `wanted` lies."""
    seen = 0.0
    for key, count in classes:
        seen += count
        if seen >= wanted:
            return key
    return classes[-1][0]


def _named(kept: Mapping[str, _Met]) -> list[NameMet]:
    """Return the groups, those with the most runs first."""
    found = [
        NameMet(name=name, runs=met.runs, inside=met.inside / met.runs, ratio=math.exp(met.log_ratio / met.runs))
        for name, met in kept.items()
    ]
    return sorted(found, key=lambda one: (-one.runs, one.name))
