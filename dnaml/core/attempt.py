"""Where a job runs (placement), one try of it (attempt), the states of both, and what an attempt used and left."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from dnaml.core.errors import TransitionError


class AttemptState(Enum):
    """Is where an attempt stands; the five below STOPPING are ends."""

    PLANNED = "planned"  # decided, not yet sent
    STARTING = "starting"  # sent to the backend
    RUNNING = "running"  # the worker said that it began
    STOPPING = "stopping"  # asked to end: migration, cancellation, or another replica won
    DONE = "done"  # ended with a result
    FAILED = "failed"  # the work's own error
    LOST = "lost"  # the resource's fault
    STOPPED = "stopped"  # ended because it was asked to
    CANCELLED = "cancelled"  # never began


class JobState(Enum):
    """Is what a user sees of a job, computed from its attempts."""

    PENDING = "PENDING"  # waits for its first start
    RUNNING = "RUNNING"  # an attempt is on a resource
    RECOVERING = "RECOVERING"  # an attempt was lost or failed; the next one waits
    SUCCEEDED = "SUCCEEDED"  # a result was committed
    FAILED = "FAILED"  # ended without a result
    CANCELLED = "CANCELLED"  # ended on request


_S = AttemptState
MOVES: Mapping[AttemptState, frozenset[AttemptState]] = {
    _S.PLANNED: frozenset({_S.STARTING, _S.CANCELLED}),
    _S.STARTING: frozenset({_S.RUNNING, _S.FAILED, _S.LOST, _S.CANCELLED}),
    _S.RUNNING: frozenset({_S.DONE, _S.FAILED, _S.LOST, _S.STOPPING}),
    _S.STOPPING: frozenset({_S.STOPPED, _S.DONE, _S.FAILED, _S.LOST}),
    _S.DONE: frozenset(),
    _S.FAILED: frozenset(),
    _S.LOST: frozenset(),
    _S.STOPPED: frozenset(),
    _S.CANCELLED: frozenset(),
}


def check_move(attempt_id: str, old: AttemptState, new: AttemptState) -> AttemptState:
    """Return `new` if the table allows the move; raise TransitionError otherwise."""
    if new not in MOVES[old]:
        raise TransitionError(f"attempt {attempt_id}: {old.value} -> {new.value} is not allowed")
    return new


class Cause(Enum):
    """Classifies the end of an attempt that did not end by itself."""

    OUT_OF_MEMORY = "out_of_memory"  # it, not its resource, was too large: the next try needs more
    DIED = "died"  # its process ended without a word
    SILENT = "silent"  # no heartbeat: frozen or cut off
    OVERRAN = "overran"  # it used more than it was allowed
    INTERRUPTED = "interrupted"  # its resource was taken away


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Says that a job (or its `share` in (0, 1], or its copy number `replica`) runs on a resource.

    A share is the contiguous slice [`start`, `start` + `share`) of a divisible job: part number `part` of `parts`.
    """

    job_id: str
    resource_id: str
    units: int = 1
    share: float = 1.0
    replica: int = 0
    checkpoint_every_s: float | None = None
    part: int = 0
    parts: int = 1
    start: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of a job. A result, checkpoint or heartbeat with another `epoch` than the job's newest is refused."""

    id: str
    epoch: int
    job_id: str
    computation_id: str
    placement: Placement
    state: AttemptState = AttemptState.PLANNED
    started_at_s: float | None = None
    ended_at_s: float | None = None
    progress: float = 0.0
    cost_usd: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A sealed point from which an attempt can go on; `id` is its place below the checkpoint folder."""

    id: str
    attempt_id: str
    taken_at_s: float
    progress: float
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one attempt used. `runtime_s` is the attempt's own clock, free of waiting for a core:
    CPU time of its process tree plus time blocked on I/O; `wall_s` stands beside. `telemetry` holds every other
    measurement (`t_*` columns of run tables, without prefix)."""

    wall_s: float
    cpu_s: float | None = None
    blocked_s: float | None = None
    peak_memory_bytes: int | None = None
    energy_j: float | None = None
    telemetry: Mapping[str, float] = field(default_factory=dict)

    @property
    def runtime_s(self) -> float:
        """Return CPU plus blocked seconds where both are known, else wall seconds."""
        if self.cpu_s is None or self.blocked_s is None:
            return self.wall_s
        return self.cpu_s + self.blocked_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Where bytes lie that the engine keeps without reading them: a blob log's segment, offset, length and digest."""

    segment: int
    offset: int
    size_bytes: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Telemetry read at one moment; metrics carry their unit in the name."""

    resource_id: str
    attempt_id: str | None
    at_s: float
    metrics: Mapping[str, float]
