"""All that the pages may ask of a service: one callable per thing read, filled in by whoever serves them.

Each answers for one caller only and may take milliseconds, so pages call them off the event loop (`parts.live`). Once
the caller's token is over, every one of them raises AccessEnded.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

from dnaml.answers.dna_plane import DnaPlane
from dnaml.answers.rows import AttemptRow, JobRow
from dnaml.answers.spending import SpendingNow
from dnaml.answers.trust import TrustNow
from dnaml.core.attempt import JobState, Sample
from dnaml.core.dna import ResourceDNA
from dnaml.core.errors import DnamlError
from dnaml.core.plan import Decision
from dnaml.core.resource import Resource, ResourceState
from dnaml.dashboard.insight_reads import DemandShown, DriftNow, RegistryNow


class AccessEnded(DnamlError):
    """Says that the token behind a page was revoked or is over."""


class Caller(Protocol):
    """The one who looks, as far as a page needs to know."""

    @property
    def tenant(self) -> str:
        """Return whose jobs are shown."""
        ...

    @property
    def name(self) -> str:
        """Return the name of the token, or what stands for it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The service itself: under which address the caller reached it, and what he may run there."""

    url: str
    allowed: Sequence[str]
    argv: bool
    """whether any command may run"""
    needs_token: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceNow:
    """One resource and how it stands: `running` attempts of the caller, `drivable` False where it is only declared.

    `here` says that what runs on it runs on this machine, whatever it stands for.
    """

    resource: Resource
    available: bool
    drivable: bool
    running: int
    here: bool = True
    state: ResourceState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueQuery:
    """Which jobs are wanted: the newest first, from the `first` match on, at most `limit`; `words` in name or id."""

    state: JobState | None = None
    words: str = ""
    first: int = 0
    limit: int = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePage:
    """A page of jobs, how many match in all, and how many jobs of the caller there are by state."""

    rows: Sequence[JobRow]
    matching: int
    counts: Mapping[JobState, int]
    waits: Mapping[str, str]
    """job id -> why it waits, for those rows that do"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One attempt as a bar of the Gantt chart; `ended_at_s` None while it runs.

    `lost` says that its resource failed it, `moved` that it was stopped so that the next could go on elsewhere.
    """

    job_id: str
    name: str
    attempt_id: str
    resource_id: str
    started_at_s: float
    ended_at_s: float | None
    state: str
    lost: bool = False
    moved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Placements:
    """The newest attempts, oldest first, the service's clock, and how many earlier ones are left out."""

    bars: Sequence[Bar]
    now_s: float
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobNow:
    """One job: its row, what it wanted, how its result or failure reads, and the verdict where it repeats another."""

    row: JobRow
    now_s: float
    waits_because: str | None
    wanted: Mapping[str, str]
    result: str | None
    traceback: str | None
    repeat: Mapping[str, Any] | None  # JSON values, as the REST route tells them
    repeated_by: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptNow:
    """One attempt: its row, and everything that was measured of it."""

    row: AttemptRow
    telemetry: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTail:
    """The end of what a job wrote, and how many bytes before it are left out."""

    text: str
    left_out_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """One callable per thing read."""

    about: Callable[[], About]
    resources: Callable[[], Sequence[ResourceNow]]
    dna: Callable[[Sequence[str]], Sequence[ResourceDNA]]
    """raw DNA of resources by id"""
    queue: Callable[[QueueQuery], QueuePage]
    placements: Callable[[int], Placements]
    """the newest attempts, at most so many"""
    job: Callable[[str], JobNow]
    """raises NotFoundError, also for another's job"""
    decision: Callable[[str], Decision | None]
    attempts: Callable[[str], Sequence[AttemptNow]]
    samples: Callable[[str], Sequence[Sample]]
    """telemetry over time of all attempts of a job"""
    log: Callable[[str, int], LogTail]
    """the last so many bytes"""
    changed: Callable[[], int]
    """a number that rises whenever something happened"""
    plane: Callable[[], DnaPlane]
    trust: Callable[[], TrustNow]
    drift: Callable[[], DriftNow]
    spending: Callable[[], SpendingNow]
    demand: Callable[[], DemandShown]
    registry: Callable[[], RegistryNow]

    def guarded(self, check: Callable[[], None]) -> "Reads":
        """Return reads that call `check`, which may raise, before each answer."""

        def behind(read: Callable[..., Any]) -> Callable[..., Any]:
            def checked(*given: Any) -> Any:  # what the field takes and gives
                check()
                return read(*given)

            return checked

        return replace(self, **{one.name: behind(getattr(self, one.name)) for one in fields(self)})
