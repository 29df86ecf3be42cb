"""The controller's picture of the jobs: their attempts, epochs and checkpoints, and the order in which they wait."""

import heapq
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field, replace

from dnaml.core.attempt import Attempt, AttemptState, Checkpoint, JobState, Placement, Stored, check_move
from dnaml.core.work import Computation, Job


@dataclass(slots=True, kw_only=True)
class Tries:
    """How a piece of work fared so far: what its next attempt goes on from, and what counts against it."""

    failures: int = 0
    losses: int = 0
    overruns: int = 0
    lost_on: frozenset[str] = frozenset()
    checkpoint: Checkpoint | None = None


@dataclass(slots=True, kw_only=True)
class Part(Tries):
    """One part of a split job: the slice [`start`, `start` + `share`) of its work, guessed until `known`.

    Once `done`, `resource_id` and `runtime_s` say where it ran and how long.
    """

    start: float
    share: float
    known: bool = True
    done: bool = False
    result: Stored | None = None
    resource_id: str = ""
    runtime_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one copy of a voting job said: the digest of its result, or its error and no digest."""

    attempt_id: str
    resource_id: str
    digest: str | None
    error: str | None
    result: Stored | None
    runtime_s: float


@dataclass(slots=True, kw_only=True)
class Pace:
    """How far a running attempt was, and after how many seconds of its own clock, when it last got any further."""

    progress: float
    used_s: float
    at_s: float


NO_PART = -1


@dataclass(slots=True)
class Entry(Tries):
    """One job that has not ended, with everything its next attempt needs.

    What few jobs have is shared and empty in all others: so a job that waits is 0.8 kB smaller.
    `copies` is how many a wanted probability of completion takes, once that was decided.
    `failed_part` is the part that ended it by failing; NO_PART where what else is on its way cannot matter any more.
    """

    job: Job
    computation: Computation
    order: int
    epoch: int = 0
    live: dict[str, Attempt] = field(default_factory=dict)
    adopted: frozenset[int] = frozenset()
    parts: tuple[Part, ...] = ()
    votes: tuple[Vote, ...] = ()
    pace: dict[str, Pace] = field(default_factory=dict)
    too_small: Set[str] = frozenset()
    moved_at_s: float = float("-inf")
    preempted: int = 0
    copies: int = 0
    failed_part: int | None = None
    stop_asked: bool = False
    over: bool = False
    told: str = ""

    def tries(self, placement: Placement) -> Tries:
        """Return the piece of work that a placement is for: the whole job, or one of its parts."""
        return self.parts[placement.part] if placement.parts > 1 else self

    def missing_parts(self) -> list[int]:
        """Return the parts that are neither done nor running."""
        running = {attempt.placement.part for attempt in self.live.values()}
        return [k for k, part in enumerate(self.parts) if not part.done and k not in running]

    @property
    def wanted(self) -> int:
        """Return how many further attempts the job wants at present."""
        if self.parts:
            return len(self.missing_parts())
        if self.job.resilience.vote:
            return further_copies(self.votes, len(self.live), self.job.resilience.replicas)
        return max(self.job.resilience.replicas, self.copies) - len(self.live)

    @property
    def state(self) -> JobState:
        """Return what a user sees of a job that has not ended."""
        if self.live:
            return JobState.RUNNING
        return JobState.RECOVERING if self.epoch else JobState.PENDING

    def move(self, attempt_id: str, state: AttemptState, **changes: object) -> Attempt:
        """Move a live attempt to another state; raise TransitionError where the table forbids it."""
        old = self.live[attempt_id]
        check_move(attempt_id, old.state, state)
        new = replace(old, state=state, **changes)  # type: ignore[arg-type]  # names and types are Attempt's own
        self.live[attempt_id] = new
        return new


def further_copies(votes: Sequence[Vote], live: int, replicas: int) -> int:
    """Return how many more copies a vote needs: all at first, then one at a time until a majority agrees."""
    return max(replicas - live - len(votes), 0 if live else 1)


class Ledger:
    """Holds the open jobs.

    Waiting ones are ordered by priority, then by arrival; a job that recovers keeps its turn.
    """

    def __init__(self) -> None:
        self.open: dict[str, Entry] = {}
        self.attempts: dict[str, Entry] = {}
        self.ended = 0
        self._heap: list[tuple[int, int, str]] = []
        self._waiting: set[str] = set()
        self._orders = 0

    def add(self, job: Job, computation: Computation) -> Entry | None:
        """Take in a job that waits; None if its id is already known and open."""
        if job.id in self.open:
            return None
        self._orders += 1
        entry = Entry(job, computation, self._orders)
        self.open[job.id] = entry
        self.wait(entry)
        return entry

    def wait(self, entry: Entry) -> None:
        """Put a job back in line."""
        if entry.job.id not in self._waiting:
            self._waiting.add(entry.job.id)
            heapq.heappush(self._heap, (-entry.job.priority, entry.order, entry.job.id))

    def take(self, count: int) -> Iterator[Entry]:
        """Take up to `count` waiting jobs out of the line, first come first."""
        while count > 0 and self._heap:
            job_id = heapq.heappop(self._heap)[2]
            if job_id in self._waiting:
                self._waiting.discard(job_id)
                count -= 1
                yield self.open[job_id]

    def leave_line(self, entry: Entry) -> None:
        """Take one job out of the line."""
        self._waiting.discard(entry.job.id)

    def first_priority(self) -> int | None:
        """Return the priority of the first job in line, or None when nobody waits."""
        while self._heap and self._heap[0][2] not in self._waiting:
            heapq.heappop(self._heap)
        return -self._heap[0][0] if self._heap else None

    def end(self, entry: Entry) -> None:
        """Close a job; attempts of it that still run are known until they report their end."""
        self._waiting.discard(entry.job.id)
        del self.open[entry.job.id]
        entry.over = True
        self.ended += 1

    def reopen(self, entry: Entry) -> None:
        """Take back the end of a job."""
        self.open[entry.job.id] = entry
        entry.over = False
        self.ended -= 1

    def __len__(self) -> int:
        """Return how many jobs stand in line."""
        return len(self._waiting)
