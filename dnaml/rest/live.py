"""Everything the service answers about jobs, in memory: rebuilt from the journal, kept up to date by each event.

The engine's thread writes, the service's threads read; each value is set in one step, so nothing is locked.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from dnaml.answers.rows import OVER
from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, JobState
from dnaml.core.events import Command, EndJob, Event, Explain, StartAttempt
from dnaml.core.plan import Decision
from dnaml.core.protocols import Run
from dnaml.core.resource import Resource
from dnaml.core.work import Computation
from dnaml.datasets.state import StateFolder
from dnaml.engine import Watcher
from dnaml.history import History, JobView
from dnaml.rest.hub import Hub, Told
from dnaml.rest.observed import Observed

KEPT_DECISIONS, KEPT_CANDIDATES = 2_000, 2_000_000


@dataclass(slots=True)
class TenantJobs:
    """The jobs of one tenant: all in the order of their submission, and how many have not ended."""

    ids: list[str] = field(default_factory=list)
    open: int = 0
    computations: dict[str, Computation] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """Counts since the service started."""

    submitted: int = 0
    ended: dict[str, int] = field(default_factory=dict)
    migrations: int = 0
    failovers: int = 0
    refused: int = 0


class Live(Watcher):
    """The history of a state folder as it is now, with an index by tenant and the events for streams."""

    def __init__(self, state: StateFolder) -> None:
        self.history = History(state)
        self.tenants: dict[str, TenantJobs] = {}
        self.told: dict[str, list[Told]] = {}
        self.down = self.history.down
        self.waits: dict[str, str] = {}
        self.hub = Hub()
        self.tally = Tally()
        self.observed = Observed()
        self.runs: list[Run] = []  # those nobody has learned from yet
        self.broken: BaseException | None = None
        self.listeners: list[LiveListener] = []
        self._decisions: OrderedDict[str, Decision] = OrderedDict()
        self._candidates = 0
        self._job_of: dict[str, str] = {}  # running attempt -> job
        self._at_s = 0.0
        self._live = False
        self._entering = threading.Lock()

    # -- asked by requests -------------------------------------------------------------------------------------------

    def jobs_of(self, tenant: str) -> TenantJobs:
        """Return a tenant's jobs."""
        found = self.tenants.get(tenant)
        if found is None:
            found = self.tenants.setdefault(tenant, TenantJobs())
        return found

    def job(self, tenant: str, job_id: str) -> JobView | None:
        """Return a tenant's job; None when there is none, or it is another's."""
        view = self.history.jobs.get(job_id)
        return view if view is not None and view.job.tenant == tenant else None

    def decision(self, job_id: str) -> Decision | None:
        """Return the newest decision about a job if it was taken lately."""
        return self._decisions.get(job_id)

    async def until_over(self, view: JobView, timeout_s: float) -> None:
        """Wait until a job has ended, the time is over, or the service ends."""
        until_s = time.monotonic() + timeout_s
        news = self.hub.subscribe()
        try:
            while view.state not in OVER and not self.hub.closed:
                left_s = until_s - time.monotonic()
                if left_s <= 0 or not await news.wait(left_s):
                    return
        finally:
            news.end()

    def expect(self, event: ev.Submitted) -> None:
        """Take a job in that was just accepted, before the engine's thread tells of it: its client may ask at once."""
        with self._entering:
            if event.job.id not in self.history.jobs:
                self._submitted(event)

    # -- told by the engine ------------------------------------------------------------------------------------------

    def replayed(self, event: Event, commands: Sequence[Command]) -> None:
        """Take a stored event in."""
        self._note(event)
        for command in commands:
            if isinstance(command, EndJob):
                self._end(command)

    def happened(self, event: Event) -> None:
        """Take an event in."""
        if not self._live:
            self._live = True
            self.observed.began(event.at_s)
        self._note(event)

    def starting(self, command: StartAttempt) -> bool:
        """Keep the decision for a while."""
        decision = command.decision
        self._decisions[decision.job_id] = decision
        self._candidates += len(decision.resource_ids)
        while len(self._decisions) > KEPT_DECISIONS or self._candidates > KEPT_CANDIDATES:
            _, oldest = self._decisions.popitem(last=False)
            self._candidates -= len(oldest.resource_ids)
        self.waits.pop(decision.job_id, None)
        view = self.history.jobs.get(decision.job_id)
        if view is not None:
            self.observed.decided(view.job.tenant, decision)
        return True

    def ended(self, command: EndJob, outcome: bytes | None, parts: Sequence[bytes] = ()) -> None:
        """Note the end of a job."""
        self._end(command)

    def explained(self, command: Explain) -> None:
        """Keep why a job waits."""
        self.waits[command.job_id] = command.reason

    def decided(self, commands: Sequence[Command], took_s: float) -> None:
        """Share what deciding took among the attempts that it placed; waits and wake-ups are no decisions."""
        placed = sum(isinstance(command, StartAttempt) for command in commands)
        for listener in self.listeners if placed and self._live else ():
            listener.decided(took_s / placed, placed)

    def broke(self, error: BaseException) -> None:
        """Keep what ended the engine's loop; nothing is admitted any more."""
        self.broken = error
        self.hub.close()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _note(self, event: Event) -> None:
        self._at_s = event.at_s
        if isinstance(event, ev.Submitted):
            self.expect(event)
            return
        if isinstance(event, ev.Tick | ev.Settled):
            return
        self.history.note(event, ())
        if isinstance(event, ev.AttemptStarted):
            self._started(event)
        elif isinstance(event, ev.AttemptEnded):
            self._attempt_ended(event)
        elif isinstance(event, ev.CheckpointSealed):
            self._of_attempt("checkpoint", event.attempt_id, event.checkpoint.progress)
        elif isinstance(event, ev.AttemptProgressed):
            self._of_attempt("progress", event.attempt_id, event.progress, keep=False)
        elif isinstance(event, ev.ResourceUp):
            self._tell("resource_up", resource_id=event.resource.id)
            for listener in self.listeners if self._live else ():
                listener.joined(event.resource)
        elif isinstance(event, ev.ResourceDown):
            self._tell("resource_down", resource_id=event.resource_id, reason=event.reason)
            for listener in self.listeners if self._live else ():
                listener.left(event.resource_id)
        elif isinstance(event, ev.MigrateRequested) and self._live:
            self.tally.migrations += 1
        elif isinstance(event, ev.Resumed):
            self._resumed()

    def _submitted(self, event: ev.Submitted) -> None:
        self.history.note(event, ())
        job = event.job
        jobs = self.jobs_of(job.tenant)
        jobs.ids.append(job.id)
        jobs.open += 1
        jobs.computations[event.computation.id] = event.computation
        self.tally.submitted += 1
        self.observed.submitted(self.history.jobs[job.id])
        self._tell("submitted", job.id, at_s=event.at_s, name=job.name, computation_id=job.computation_id)

    def _started(self, event: ev.AttemptStarted) -> None:
        view = self.history.jobs.get(event.job_id)
        if view is None:
            return
        if view.state in (JobState.FAILED, JobState.CANCELLED):  # it only seemed so: this attempt was on its way
            self.jobs_of(view.job.tenant).open += 1
            view.ended_at_s = None
        if view.state is not JobState.SUCCEEDED:
            view.state = JobState.RUNNING
        self._job_of[event.attempt_id] = view.id
        self.observed.started(view)
        self._tell("started", view.id, attempt_id=event.attempt_id, resource_id=event.placement.resource_id)
        if self._live and len(view.attempts) == 1:
            for listener in self.listeners:
                listener.waited(event.at_s - view.job.submitted_at_s)

    def _attempt_ended(self, event: ev.AttemptEnded) -> None:
        job_id = self._job_of.pop(event.attempt_id, "")
        view = self.history.jobs.get(job_id)
        if view is None:
            return
        attempt = next((one for one in view.attempts if one.id == event.attempt_id), None)
        if attempt is None:
            return
        running = any(one.state is AttemptState.RUNNING for one in view.attempts)
        if view.state not in OVER and not running:
            view.state = view.waits_as
        self._tell(
            "attempt_ended",
            job_id,
            attempt_id=event.attempt_id,
            resource_id=attempt.placement.resource_id,
            outcome=event.outcome.name,
            error=event.error,
        )
        run = self.history.run(view, attempt)
        resource = self.history.resources.get(attempt.placement.resource_id)
        self.observed.attempt_ended(view, attempt, resource, run, self.decision(view.id))
        if run is None:
            self.tally.refused += self._live
        else:
            self.runs.append(run)
            for listener in self.listeners if self._live else ():
                listener.ran(view.id, run)
        if self._live and event.outcome is AttemptState.LOST and event.began:
            self.tally.failovers += 1

    def _resumed(self) -> None:
        self._job_of.clear()
        for view in self.history.jobs.values():
            if view.state is JobState.RUNNING:
                view.state = JobState.RECOVERING

    def _end(self, command: EndJob) -> None:
        view = self.history.jobs.get(command.job_id)
        if view is None:
            return
        if view.state not in OVER:
            self.jobs_of(view.job.tenant).open -= 1
            self.observed.ended(view)
        last = view.last  # told late when live, at once in a replay: the moment is that of its cause in both
        at_s = last.ended_at_s if command.attempt_id is not None and last is not None else None
        at_s = self._at_s if at_s is None else at_s
        view.state, view.error, view.ended_at_s = command.state, command.error, at_s
        self.waits.pop(view.id, None)
        self._tell("ended", view.id, at_s=at_s, state=command.state.value, error=command.error)
        if self._live:
            name = command.state.value
            self.tally.ended[name] = self.tally.ended.get(name, 0) + 1
            for listener in self.listeners:
                listener.ended(view)

    def _of_attempt(self, kind: str, attempt_id: str, progress: float, *, keep: bool = True) -> None:
        job_id = self._job_of.get(attempt_id)
        if job_id is not None:
            self._tell(kind, job_id, keep=keep, attempt_id=attempt_id, progress=progress)

    def _tell(
        self, kind: str, job_id: str = "", *, keep: bool = True, at_s: float | None = None, **more: object
    ) -> None:
        view = self.history.jobs.get(job_id)
        tenant = view.job.tenant if view is not None else ""
        told = self.hub.tell(kind, self._at_s if at_s is None else at_s, tenant=tenant, job_id=job_id, **more)
        if job_id and keep:
            self.told.setdefault(job_id, []).append(told)


class LiveListener:
    """Hears what the metrics count and the pool gains; called from the engine's thread."""

    def joined(self, resource: Resource) -> None:
        """Take a resource that is offered from now on."""

    def left(self, resource_id: str) -> None:
        """Take that a resource is offered no more."""

    def waited(self, wait_s: float) -> None:
        """Take how long a job waited for its first start."""

    def ran(self, job_id: str, run: Run) -> None:
        """Take an ended attempt as predictors learn from it."""

    def ended(self, view: JobView) -> None:
        """Take a job that has ended."""

    def decided(self, each_s: float, count: int) -> None:
        """Take how long each of so many decisions took that were made together."""
