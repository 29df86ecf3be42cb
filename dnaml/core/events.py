"""What happened (events) and what to do about it (commands); time travels on the event.

Every event and command is a frozen value that can be stored and read back. `at_s` is seconds since 1970 on a clock
that never runs backwards within one run of the engine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dnaml.core.attempt import Attempt, AttemptState, Cause, Checkpoint, JobState, Placement, Stored, Usage
from dnaml.core.plan import Decision
from dnaml.core.resource import Resource, ResourceState
from dnaml.core.work import Computation, Job, Objective


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """Opens a journal (or a changed configuration): a replay uses the same policy, model and seed."""

    at_s: float
    policy: str
    model: str
    objective: Objective
    seed: int = 0
    settings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """Says that a new engine took over this journal: attempts that were on resources are gone with the old one."""

    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceUp:
    """Says that a resource can take work, or that its description changed."""

    at_s: float
    resource: Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceDown:
    """Says that a resource takes no more work; attempts on it are reported by their own events."""

    at_s: float
    resource_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRefreshed:
    """Carries the periodic refresh of what changes about a resource."""

    at_s: float
    state: ResourceState


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """Says that a job was accepted; it will end exactly once."""

    at_s: float
    job: Job
    computation: Computation


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested:
    """Asks that a job end without a result: waiting ones always, running ones only if `running`."""

    at_s: float
    job_id: str
    running: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrateRequested:
    """Asks that a running job go on elsewhere; without `resource_id` the policy chooses where."""

    at_s: float
    job_id: str
    resource_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InterruptionNotice:
    """Says that a resource will be taken away at `gone_at_s`: a spot notice, a drain, a maintenance window."""

    at_s: float
    resource_id: str
    gone_at_s: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted:
    """Says that a worker began an attempt, where and for whom: a replay needs no plan to know.

    Its output goes to `log` from byte `log_start` on.
    """

    at_s: float
    attempt_id: str
    epoch: int
    job_id: str
    placement: Placement
    pid: int | None = None
    log: str | None = None
    log_start: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptProgressed:
    """Says how far a running attempt is (`progress` in [0, 1]) after `used_s` seconds of its own clock."""

    at_s: float
    attempt_id: str
    epoch: int
    progress: float
    used_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSealed:
    """Says that an attempt's checkpoint is complete and durable; writing it took `write_s` seconds."""

    at_s: float
    attempt_id: str
    epoch: int
    checkpoint: Checkpoint
    write_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded:
    """Says how an attempt ended; `outcome` is DONE, FAILED, LOST, STOPPED or CANCELLED.

    `result` is where the engine keeps the outcome of the attempt (None where the backend keeps none); `log` are the
    first and last byte of its output; `began` is False when its worker died or was told off before it began; `cause`
    classifies an end that was not its own.
    """

    at_s: float
    attempt_id: str
    epoch: int
    outcome: AttemptState
    usage: Usage
    error: str | None = None
    result: Stored | None = None
    log: tuple[int, int] | None = None
    began: bool = True
    cause: Cause | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChanged:
    """Says that another predictor answers from here on; `model` names its version."""

    at_s: float
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Says that every event known at this moment was delivered: the controller plans now."""

    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Is a timer, about once a second while there is work: learning, expiry and refresh hang on it."""

    at_s: float


Event = (
    Configured
    | Resumed
    | ResourceUp
    | ResourceDown
    | ResourceRefreshed
    | Submitted
    | CancelRequested
    | MigrateRequested
    | InterruptionNotice
    | AttemptStarted
    | AttemptProgressed
    | CheckpointSealed
    | AttemptEnded
    | ModelChanged
    | Settled
    | Tick
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAttempt:
    """Asks the backend to run an attempt, from `checkpoint` if there is one.

    It is ended by force, its whole process tree, once it used `kill_after_s` seconds.
    """

    attempt: Attempt
    job: Job
    computation: Computation
    checkpoint: Checkpoint | None
    decision: Decision
    kill_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAttempt:
    """Asks the backend to end an attempt: gently first, then by force."""

    attempt_id: str
    epoch: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SealCheckpoint:
    """Asks that a running attempt write a checkpoint at its next `save`, due or not, and go on."""

    attempt_id: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndJob:
    """Says that a job is over: the one moment in which its result (or error) reaches the user.

    `parts` are the results of a split job in order, and then `result` is None.
    """

    job_id: str
    state: JobState
    attempt_id: str | None
    error: str | None
    result: Stored | None
    parts: tuple[Stored, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explain:
    """Says why a job waits: no resource, none that may take it, or none that is large enough."""

    job_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquire:
    """Asks a provider for machines made after a template; one that is not there by `until_s` is not wanted any more."""

    template: str
    count: int
    reason: str
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Asks a provider to give a machine back: it takes no more work and is paid for no longer."""

    resource_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeAt:
    """Asks for a Tick at `at_s` or soon after, though nothing may run then: a resource's rest ends, say."""

    at_s: float


Command = StartAttempt | StopAttempt | SealCheckpoint | EndJob | Explain | WakeAt | Acquire | Release
