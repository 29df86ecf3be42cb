"""What a simulated policy reached, in the units people quote."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from dnaml.core.resource import Resource
from dnaml.simulation.tally import Outcome, Span, Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Says that two jobs held the same units for some seconds, and what share of its speed alone each kept."""

    job_id: str
    beside: str
    resource_id: str
    held_s: float
    kept: float
    beside_kept: float

    def __str__(self) -> str:
        """Return it in words."""
        return (
            f"{self.job_id} and {self.beside} shared units of {self.resource_id} for {self.held_s:.0f} s "
            f"at {self.kept:.0%} and {self.beside_kept:.0%} of their speed alone"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one policy reached on one trace; completion times count from arrival.

    `jobs` ended, of which `measured` give the completion times and `late` missed their deadline. `restarts` are starts
    after a job's first. `cost_usd` pays every unit held; `energy_j` is None where no power is known. `decision_cpu_s`
    is the policy's processor time, `simulator_cpu_s` the rest. `gap` is the largest that the policy stated.
    `shared_share` is the share of the held unit time in which two jobs shared.
    """

    trace: str
    policy: str
    jobs: int
    measured: int
    mean_jct_s: float
    p50_jct_s: float
    p99_jct_s: float
    makespan_s: float
    cost_usd: float
    energy_j: float | None
    late: int
    restarts: int
    failures: int
    utilisation: float
    events: int
    decisions: int
    decision_cpu_s: float
    simulator_cpu_s: float
    gap: float | None = None
    shared_share: float = 0.0
    unplaced: Mapping[str, str] = field(default_factory=dict)
    outcomes: tuple[Outcome, ...] = ()
    spans: tuple[Span, ...] = ()

    def shared(self) -> list[Shared]:
        """Return who shared units with whom, the longest first; empty where spans were not kept."""
        held_s: dict[tuple[str, str, str], float] = {}
        kept: dict[tuple[str, str, str], float] = {}
        for span in self.spans:
            if span.beside is not None:
                key = (span.job_id, span.beside, span.resource_id)
                held_s[key] = held_s.get(key, 0.0) + span.ended_s - span.began_s
                kept[key] = span.kept
        found = [
            Shared(job_id=a, beside=b, resource_id=m, held_s=s, kept=kept[a, b, m], beside_kept=kept[b, a, m])
            for (a, b, m), s in held_s.items()
            if a < b
        ]
        return sorted(found, key=lambda one: (-one.held_s, one.job_id, one.beside))


def report_of(
    tally: Tally, resources: tuple[Resource, ...], *, trace: str, policy: str, measured: tuple[int, int] | None
) -> Report:
    """Return the report of a finished simulation."""
    jct_s = _completions(tally, measured)
    exact = bool(tally.outcomes)
    makespan_s = tally.last_end_s - tally.first_arrival_s if tally.ended else 0.0
    capacity = sum(resource.slots for resource in resources) * makespan_s
    known_power = any(resource.power_w is not None for resource in resources)
    durations = tally.durations
    return Report(
        trace=trace,
        policy=policy,
        jobs=tally.ended,
        measured=len(jct_s) if exact else durations.count,
        mean_jct_s=_mean(jct_s) if exact else (durations.sum_s / durations.count if durations.count else math.nan),
        p50_jct_s=_quantile(jct_s, 0.5) if exact else durations.quantile(0.5),
        p99_jct_s=_quantile(jct_s, 0.99) if exact else durations.quantile(0.99),
        makespan_s=makespan_s,
        cost_usd=tally.cost_usd,
        energy_j=tally.energy_j if known_power else None,
        late=tally.late,
        restarts=tally.starts - tally.changes,
        failures=tally.failures,
        utilisation=sum(tally.unit_s) / capacity if capacity > 0 else 0.0,
        events=tally.events,
        decisions=tally.decisions,
        decision_cpu_s=tally.decision_cpu_s,
        simulator_cpu_s=max(0.0, tally.cpu_s - tally.decision_cpu_s),
        gap=tally.worst_gap,
        shared_share=tally.shared_unit_s / held if (held := sum(tally.unit_s)) else 0.0,
        unplaced=tally.unplaced,
        outcomes=tuple(tally.outcomes),
        spans=tuple(tally.spans),
    )


def _completions(tally: Tally, measured: tuple[int, int] | None) -> list[float]:
    first, stop = measured or (0, math.inf)
    return [outcome.completion_s for outcome in tally.outcomes if first <= outcome.number < stop]


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _quantile(values: list[float], level: float) -> float:
    return float(np.quantile(values, level)) if values else math.nan
