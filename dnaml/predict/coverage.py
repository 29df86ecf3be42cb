"""Do the intervals hold as often as they say: watched over 30 days, and corrected a little after every run.

Groups are those of the calibration (kind of query, bucket of runs). `CoverageWatch` raises an alarm when the share of
runs inside their p10-p90 interval cannot be chance; `AdaptiveWidths` moves each group's width by a small step after
every run (adaptive conformal inference), so that coverage comes right in the long run whatever happens.
"""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from dnaml.core.errors import InputError
from dnaml.predict.drift import Alarm, Subject

TARGET_MISS = 0.2  # of a p10-p90 interval
WATCHED_DAYS = 30
DAY_S = 86_400.0
FEWEST = 30  # runs, below which a share says little
BOUND = 4.0  # standard errors
STEP = 0.02  # of the ln width; near the target the same as a step of 0.01 of the miss rate
WIDEST_LOG = math.log(10.0)

Day = tuple[int, int, int]  # number of the day, runs, runs inside


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageWatch:
    """Counts per group and day how many runs fell inside their interval, for the last WATCHED_DAYS days."""

    days: Mapping[Hashable, tuple[Day, ...]] = field(default_factory=dict)

    def updated(self, group: Hashable, *, inside: bool, at_s: float) -> "CoverageWatch":
        """Return the counts with one more run; a run older than the window is not counted."""
        if not math.isfinite(at_s):
            raise InputError(f"{group}: at_s must be finite, got {at_s}")
        today = math.floor(at_s / DAY_S)
        known = {day: (runs, hits) for day, runs, hits in self.days.get(group, ())}
        runs, hits = known.get(today, (0, 0))
        known[today] = (runs + 1, hits + inside)
        newest = max(known)
        kept = tuple((day, *known[day]) for day in sorted(known) if day > newest - WATCHED_DAYS)
        return CoverageWatch(days={**self.days, group: kept})

    def coverage(self, group: Hashable) -> tuple[int, float]:
        """Return how many runs a group has and the share of them inside; NaN without runs."""
        days = self.days.get(group, ())
        runs, hits = sum(day[1] for day in days), sum(day[2] for day in days)
        return runs, hits / runs if runs else math.nan

    def alarm(self, group: Hashable, *, at_s: float) -> Alarm | None:
        """Return an alarm when a group's coverage is further from the target than chance allows, else None.

        The statistic is positive when too few runs fall inside.
        """
        runs, share = self.coverage(group)
        if runs < FEWEST:
            return None
        statistic = (1 - TARGET_MISS - share) / math.sqrt(TARGET_MISS * (1 - TARGET_MISS) / runs)
        if abs(statistic) <= BOUND:
            return None
        return Alarm(subject=Subject.COVERAGE, id=str(group), at_s=at_s, statistic=statistic, bound=BOUND)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveWidths:
    """Keeps what each group's intervals are widened by, so that the miss rate seen comes to TARGET_MISS.

    The step of adaptive conformal inference (Gibbs and Candes, 2021) taken on the ln width instead of the level
    (quantile tracking: Angelopoulos, Candes and Tibshirani, 2023): no width is out of reach.
    """

    log_factors: Mapping[Hashable, float] = field(default_factory=dict)

    def updated(self, group: Hashable, *, inside: bool) -> "AdaptiveWidths":
        """Return the widths after one more run: `ln f + STEP (missed - TARGET_MISS)`, within a factor of ten."""
        moved = self.log_factors.get(group, 0.0) + STEP * ((not inside) - TARGET_MISS)
        return AdaptiveWidths(log_factors={**self.log_factors, group: min(max(moved, -WIDEST_LOG), WIDEST_LOG)})

    def factor(self, group: Hashable) -> float:
        """Return what a group's distances from the median are multiplied by: 1 before any run, more after misses."""
        return math.exp(self.log_factors.get(group, 0.0))
