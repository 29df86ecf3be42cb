"""What a simulation counts: outcomes of jobs, money, energy and the use of pools; exact, or in memory that stays."""

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
_STEP = math.log(1.02)
_BINS = 1400
_LEAST_S = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one job; times of the trace, `completion_s` counts from arrival."""

    id: str
    number: int
    arrived_s: float
    started_s: float
    ended_s: float
    deadline_s: float
    starts: int

    @property
    def completion_s(self) -> float:
        """Return the time from arrival to end."""
        return self.ended_s - self.arrived_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Says that a job held units of a pool for a time, alone or `beside` another at that share of its speed alone."""

    job_id: str
    resource_id: str
    units: int
    began_s: float
    ended_s: float
    beside: str | None = None
    kept: float = 1.0

    @property
    def own_units(self) -> float:
        """Return the units that the job pays for: half of those that it shares."""
        return self.units if self.beside is None else self.units / 2


class Durations:
    """Counts durations in bins 2 % wide, so that quantiles are right within 1 % however many there are."""

    def __init__(self) -> None:
        self.count, self.sum_s, self.largest_s = 0, 0.0, 0.0
        self._bins = [0] * _BINS

    def add(self, duration_s: float) -> None:
        """Count one duration."""
        self.count += 1
        self.sum_s += duration_s
        if duration_s > self.largest_s:
            self.largest_s = duration_s
        place = int(math.log(duration_s / _LEAST_S) / _STEP) if duration_s > _LEAST_S else 0
        self._bins[place if place < _BINS else _BINS - 1] += 1

    def quantile(self, level: float) -> float:
        """Return the duration below which that share lies, NaN when there is none."""
        if not self.count:
            return math.nan
        place = int(np.searchsorted(np.cumsum(self._bins), level * self.count))
        return float(_LEAST_S * math.exp(_STEP * (min(place, _BINS - 1) + 0.5)))


@dataclass(slots=True, kw_only=True)
class Tally:
    """Holds the sums of one simulation. Per pool [M]: `unit_s` seconds of units held."""

    unit_s: list[float]
    shared_unit_s: float = 0.0
    durations: Durations = field(default_factory=Durations)
    outcomes: list[Outcome] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    unplaced: dict[str, str] = field(default_factory=dict)
    cost_usd: float = 0.0
    energy_j: float = 0.0
    ended: int = 0
    late: int = 0
    starts: int = 0
    changes: int = 0
    failures: int = 0
    events: int = 0
    decisions: int = 0
    decision_cpu_s: float = 0.0
    cpu_s: float = 0.0
    last_end_s: float = 0.0
    first_arrival_s: float = math.inf
    worst_gap: float | None = None
