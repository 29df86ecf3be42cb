"""A trace: jobs in order of arrival, each with its runtime and gang in every configuration, and the pools they share.

A configuration is a pool and a number of its units; column k of a job's arrays belongs to configuration k of the trace.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.core.resource import Resource

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Phases:
    """How a job's speed changes as it goes on. Shapes: `done` [I] rising from 0 to 1, `left_s` [I, K] falling to 0.

    Between two points the speed in each configuration is constant.
    """

    done: FloatArray
    left_s: FloatArray

    def left_at(self, done: float) -> FloatArray:
        """Return the seconds [K] to the end from a share that is done."""
        i, weight = self._place(done)
        step_s = np.where(np.isfinite(self.left_s[i]), self.left_s[i + 1], 0.0) - np.where(
            np.isfinite(self.left_s[i]), self.left_s[i], 0.0
        )
        left: FloatArray = self.left_s[i] + weight * step_s
        return left

    def speed_at(self, done: float) -> FloatArray:
        """Return the share of the job [K] done per second at that point, 0 where it cannot run."""
        i, _ = self._place(done)
        with np.errstate(invalid="ignore"):
            step_s = self.left_s[i] - self.left_s[i + 1]
        known = np.isfinite(step_s) & (step_s > 0)
        speed: FloatArray = np.where(known, (self.done[i + 1] - self.done[i]) / np.where(known, step_s, 1.0), 0.0)
        return speed

    def done_at(self, k: int, left_s: float) -> float:
        """Return the share that is done when so many seconds are left in configuration k."""
        return float(np.interp(-left_s, -self.left_s[:, k], self.done))

    def _place(self, done: float) -> tuple[int, float]:
        i = min(max(int(np.searchsorted(self.done, done, side="right")) - 1, 0), len(self.done) - 2)
        return i, float((done - self.done[i]) / (self.done[i + 1] - self.done[i]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TraceJob:
    """One job. Shapes: `runtime_s` [K] alone from its beginning (inf: cannot), `units` [K] of the configuration's pool.

    `deadline_s` is a time of the trace; `restart_s` what starting or changing costs, None for the simulator's own.
    `kind` names what it is in a table of measured pairs; `memory_bytes` is what it needs of its units (None: unknown).
    """

    id: str
    arrival_s: float
    runtime_s: FloatArray
    units: IntArray
    deadline_s: float = math.inf
    weight: float = 1.0
    restart_s: float | None = None
    phases: Phases | None = None
    kind: str = ""
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        """Raise InputError on a time, a gang or a weight that makes no sense."""
        if not -math.inf < self.arrival_s < math.inf:
            raise InputError(f"{self.id}: arrival_s must be finite, got {self.arrival_s}")
        if math.isnan(self.deadline_s):
            raise InputError(f"{self.id}: deadline_s must be a number, inf for none, got nan")
        if not 0 < self.weight < math.inf:
            raise InputError(f"{self.id}: weight must be positive and finite, got {self.weight}")
        if self.restart_s is not None and not 0 <= self.restart_s < math.inf:
            raise InputError(f"{self.id}: restart_s must not be negative and must be finite, got {self.restart_s}")
        for runtime_s, units in zip(self.runtime_s.tolist(), self.units.tolist(), strict=True):
            if not runtime_s >= 0 or units < 1:
                raise InputError(
                    f"{self.id}: a configuration needs runtime_s of at least 0 (inf: cannot) and at least 1 of units, "
                    f"got {runtime_s} and {units}"
                )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """Jobs by arrival on pools: a `Resource` is a pool of `slots` equal units, `pool` [K] that of each configuration.

    `jobs` may be any iterable, read once while it is replayed. `measured` are the first job and the one after the last
    whose completion times count (None: all); all are paid for.
    """

    name: str
    resources: tuple[Resource, ...]
    pool: IntArray
    jobs: Iterable[TraceJob]
    round_s: float = 0.0
    measured: tuple[int, int] | None = None

    def on(self, slots: Mapping[str, int]) -> "Trace":
        """Return the same jobs on pools of other sizes, by resource id."""
        unknown = set(slots) - {resource.id for resource in self.resources}
        if unknown:
            known = ", ".join(resource.id for resource in self.resources)
            raise InputError(f"{self.name} has no pool {sorted(unknown)[0]!r}; its pools are {known}")
        sized = tuple(replace(resource, slots=slots.get(resource.id, resource.slots)) for resource in self.resources)
        return replace(self, resources=sized)

    def with_deadline(self, deadline_s: float) -> "Trace":
        """Return the same jobs, to be done by a common time of the trace at the latest."""
        jobs = [replace(job, deadline_s=min(job.deadline_s, deadline_s)) for job in self.jobs]
        return replace(self, jobs=jobs)
