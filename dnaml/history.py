"""What a state folder tells without an engine: jobs, attempts, decisions, records, logs. Reads only."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, JobState, Placement, Stored, Usage
from dnaml.core.errors import InputError, NotFoundError
from dnaml.core.plan import Decision, IntArray, Plan, Problem
from dnaml.core.prediction import Prediction
from dnaml.core.protocols import Run
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Job, Objective
from dnaml.datasets.blobs import BlobLog
from dnaml.datasets.migrations import open_journal
from dnaml.datasets.state import StateFolder
from dnaml.durable.accepted import accepted_since
from dnaml.execution import messages
from dnaml.execution.capture import InitialState, TerminalState
from dnaml.schedule.controller import Controller

_initial = msgspec.json.Decoder(InitialState)
_terminal = msgspec.json.Decoder(TerminalState)


@dataclass(slots=True, kw_only=True)
class AttemptView:
    """One attempt as the journal tells it; `state` RUNNING means that no end was recorded."""

    id: str
    placement: Placement
    started_at_s: float
    pid: int | None
    log: str | None
    log_start: int
    log_end: int | None = None
    state: AttemptState = AttemptState.RUNNING
    began: bool = True
    ended_at_s: float | None = None
    usage: Usage | None = None
    error: str | None = None
    result: Stored | None = None
    checkpoints: int = 0
    sealed_at_s: float | None = None
    sealed_progress: float = 0.0


@dataclass(slots=True, kw_only=True)
class JobView:
    """One job as the journal tells it."""

    job: Job
    computation: Computation
    state: JobState = JobState.PENDING
    attempts: list[AttemptView] = field(default_factory=list)
    ended_at_s: float | None = None
    error: str | None = None

    @property
    def id(self) -> str:
        """Return the job's id."""
        return self.job.id

    @property
    def last(self) -> AttemptView | None:
        """Return the newest attempt, if there was one."""
        return self.attempts[-1] if self.attempts else None

    @property
    def waits_as(self) -> JobState:
        """Return what it is with no attempt under way: PENDING as long as each came back before it began."""
        tried = any(one.began or one.state is AttemptState.LOST for one in self.attempts)
        return JobState.RECOVERING if tried else JobState.PENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is stored of one job: initial and terminal state, and every attempt with its telemetry."""

    job: Job
    computation: Computation
    state: JobState
    initial: InitialState
    terminal: TerminalState | None
    attempts: tuple[AttemptView, ...]


class History:
    """The jobs of a state folder, rebuilt from its journal. `read` raises StateFolderError when there is none."""

    def __init__(self, state: StateFolder) -> None:
        self.state = state
        self.jobs: dict[str, JobView] = {}
        self.resources: dict[str, Resource] = {}
        self.down: set[str] = set()
        self._attempts: dict[str, AttemptView] = {}

    @classmethod
    def read(cls, folder: Path) -> "History":
        """Read a state folder; an engine may be working on it meanwhile. Every job whose `submit` returned is known."""
        history = cls(StateFolder(Path(folder)))
        accepted = accepted_since(history.state)
        journal = open_journal(history.state, read_only=True)
        nobody = _Nobody()
        controller = Controller(nobody, nobody, Objective())
        for event in journal.replay():
            history.note(event, controller.recover(event))
        journal.close()
        for entry in controller.ledger.open.values():
            view = history.jobs[entry.job.id]
            view.state = entry.state if entry.live else view.waits_as
        for submitted in accepted(history.jobs):
            history.note(submitted, ())
        return history

    def job(self, wanted: str) -> JobView:
        """Return the job with an id, or with an id that starts so; raise NotFoundError or InputError."""
        if wanted in self.jobs:
            return self.jobs[wanted]
        found = [job_id for job_id in self.jobs if job_id.startswith(wanted)] if wanted else []
        if len(found) == 1:
            return self.jobs[found[0]]
        if found:
            raise InputError(f"job {wanted!r} is not unique: {', '.join(found[:5])}, ...")
        raise NotFoundError(f"no job {wanted!r} in {self.state.root}")

    def decision(self, job_id: str) -> Decision:
        """Return the newest decision about a job; raise NotFoundError when it was never placed."""
        newest = None
        log = BlobLog(self.state.blobs, "decisions")
        for _, body in log.frames():
            if job_id.encode() in body:
                decision = _read_decision(body)
                newest = decision if decision.job_id == job_id else newest
        log.close()
        if newest is None:
            placed = job_id in self.jobs and self.jobs[job_id].attempts
            why = "any more: it was let go of" if placed else "yet: it was never placed"
            raise NotFoundError(f"job {job_id} has no decision {why}")
        return newest

    def decisions(self, newest_bytes: int | None = None) -> Iterator[Decision]:
        """Yield every decision in the order of the starts it led to; one the journal knows no job of is left out.

        With `newest_bytes` only those in about so many newest bytes of what is stored.
        """
        log = BlobLog(self.state.blobs, "decisions")
        try:
            for _, body in log.frames((0, 0) if newest_bytes is None else log.newest(newest_bytes)):
                decision = _read_decision(body)
                if decision.job_id in self.jobs:
                    yield decision
        finally:
            log.close()

    def payload(self, job_id: str) -> messages.Payload:
        """Return what a job brought at submission."""
        log = BlobLog(self.state.blobs, "payloads")
        try:
            for _, body in log.frames():
                if job_id.encode() in body:
                    payload = messages.decode_payload(body)
                    if msgspec.json.decode(payload.submitted, type=ev.Submitted).job.id == job_id:
                        return payload
        finally:
            log.close()
        raise NotFoundError(f"job {job_id} has no payload in {self.state.blobs}")

    def outcome(self, view: JobView) -> messages.Outcome | None:
        """Return the committed outcome of a job, or that of its newest attempt that left one.

        None for a job that ran in parts: each left an outcome of its own, and only whoever submitted it can join them.
        """
        if any(attempt.placement.parts > 1 for attempt in view.attempts):
            return None
        stored = next((attempt.result for attempt in reversed(view.attempts) if attempt.result is not None), None)
        if stored is None:
            return None
        return messages.decode_outcome(self.stored_outcome(stored))

    def stored_outcome(self, stored: Stored) -> bytes:
        """Return the encoded outcome that lies at a place; raise CorruptError when it is damaged."""
        log = BlobLog(self.state.blobs, "outcomes")
        try:
            return log.read(stored)
        finally:
            log.close()

    def record(self, wanted: str) -> Record:
        """Return everything stored of a job."""
        view = self.job(wanted)
        outcome = self.outcome(view)
        return Record(
            job=view.job,
            computation=view.computation,
            state=view.state,
            initial=_initial.decode(self.payload(view.id).initial),
            terminal=_terminal.decode(outcome.terminal) if outcome is not None and outcome.terminal else None,
            attempts=tuple(view.attempts),
        )

    def log(self, view: JobView) -> Iterator[bytes]:
        """Yield what the attempts of a job printed, oldest first, byte for byte."""
        for attempt in view.attempts:
            if attempt.log is None:
                continue
            path = self.state.logs / attempt.log
            if path.exists():
                with path.open("rb") as log:
                    log.seek(attempt.log_start)
                    size = -1 if attempt.log_end is None else attempt.log_end - attempt.log_start
                    yield log.read(size)

    def runs(self) -> list[Run]:
        """Return every ended attempt as predictors learn from it; lost and stopped ones are censored."""
        return [run for _, run in self.runs_by_job()]

    def runs_by_job(self) -> Iterator[tuple[str, Run]]:
        """Yield every ended attempt with its job's id."""
        for view in self.jobs.values():
            for attempt in view.attempts:
                run = self.run(view, attempt)
                if run is not None:
                    yield view.id, run

    def run(self, view: JobView, attempt: AttemptView) -> Run | None:
        """Return an ended attempt as predictors learn from it; None for one that told nothing."""
        resource = self.resources.get(attempt.placement.resource_id)
        if resource is None or attempt.usage is None or attempt.usage.wall_s <= 0:
            return None
        return _run(view, attempt, resource, attempt.usage)

    # -- from events -----------------------------------------------------------------------------------------------

    def note(self, event: ev.Event, commands: Sequence[ev.Command]) -> None:
        """Note an event, and what the controller made of it: only the controller knows when a job is over."""
        if isinstance(event, ev.Submitted):
            self.jobs.setdefault(event.job.id, JobView(job=event.job, computation=event.computation))
        elif isinstance(event, ev.ResourceUp):
            self.resources[event.resource.id] = event.resource
            self.down.discard(event.resource.id)
        elif isinstance(event, ev.ResourceDown):
            self.down.add(event.resource_id)
        elif isinstance(event, ev.AttemptStarted):
            self._started(event)
        elif isinstance(event, ev.AttemptEnded) and event.attempt_id in self._attempts:
            self._ended(event)
        elif isinstance(event, ev.CheckpointSealed) and event.attempt_id in self._attempts:
            attempt = self._attempts[event.attempt_id]
            attempt.checkpoints += 1
            attempt.sealed_at_s, attempt.sealed_progress = event.at_s, event.checkpoint.progress
        elif isinstance(event, ev.Resumed):
            self._resumed(event)
        for command in commands:
            if isinstance(command, ev.EndJob) and command.job_id in self.jobs:
                view = self.jobs[command.job_id]
                view.state, view.error, view.ended_at_s = command.state, command.error, event.at_s

    def _started(self, event: ev.AttemptStarted) -> None:
        view = self.jobs.get(event.job_id)
        if view is None:
            return
        attempt = AttemptView(
            id=event.attempt_id,
            placement=event.placement,
            started_at_s=event.at_s,
            pid=event.pid,
            log=event.log,
            log_start=event.log_start,
        )
        view.attempts.append(attempt)
        self._attempts[attempt.id] = attempt

    def _ended(self, event: ev.AttemptEnded) -> None:
        attempt = self._attempts[event.attempt_id]
        attempt.state, attempt.began, attempt.ended_at_s = event.outcome, event.began, event.at_s
        attempt.usage, attempt.error, attempt.result = event.usage, event.error, event.result
        if event.log is not None:
            attempt.log_start, attempt.log_end = event.log

    def _resumed(self, event: ev.Resumed) -> None:
        for attempt in self._attempts.values():
            if attempt.state is AttemptState.RUNNING:
                attempt.state, attempt.error = AttemptState.LOST, "its engine ended"
                attempt.ended_at_s = event.at_s


class KeptResults:
    """Finds the stored outcome of an earlier job that began in an equal initial state, to be used instead of a run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._job_ids: dict[str, list[str]] = {}
        self._read = (0, -1)  # segment and byte of the newest payload that was read

    def find(self, started: InitialState) -> tuple[str, bytes] | None:
        """Return (job id, encoded outcome) of the newest such job that succeeded; None where there is none.

        A state with an argument that cannot be compared equals no other.
        """
        if not started.comparable:
            return None
        self._look()
        candidates = self._job_ids.get(started.digest, [])
        if not candidates:
            return None
        history = History.read(self._folder)
        for job_id in reversed(candidates):
            view = history.jobs.get(job_id)
            last = view.last if view is not None else None
            whole = last is not None and last.placement.parts == 1
            if whole and last is not None and last.state is AttemptState.DONE and last.result is not None:
                with contextlib.suppress(NotFoundError):  # let go of since its payload was read
                    return job_id, history.stored_outcome(last.result)
        return None

    def _look(self) -> None:
        """Note the initial states of jobs that came since the last look."""
        log = BlobLog(StateFolder(self._folder).blobs, "payloads")
        for stored, body in log.frames((self._read[0], max(0, self._read[1]))):
            if (stored.segment, stored.offset) > self._read:
                payload = messages.decode_payload(body)
                submitted = msgspec.json.decode(payload.submitted, type=ev.Submitted)
                self._job_ids.setdefault(_initial.decode(payload.initial).digest, []).append(submitted.job.id)
                self._read = (stored.segment, stored.offset)
        log.close()


class _Nobody:
    """Stands for policy and predictor where stored events are only read: neither is ever asked."""

    name = version = "none"

    def plan(self, problem: Problem) -> Plan:
        raise AssertionError("a journal that is read plans nothing")

    def predict(self, computations: Sequence[Computation], resources: Sequence[Resource]) -> Prediction:
        raise AssertionError("a journal that is read predicts nothing")

    def updated(self, runs: Sequence[Run]) -> "_Nobody":
        return self

    def shortlist(
        self, computation: Computation, resources: Sequence[Resource], objective: Objective, k: int
    ) -> IntArray:
        raise AssertionError("a journal that is read predicts nothing")


def _read_decision(body: bytes) -> Decision:
    """Return a stored decision; JSON has neither NaN nor infinity, null stands for them."""
    fields = msgspec.json.decode(body)
    for name in ("cost_usd", "risk", "score"):
        missing = math.inf if name == "score" else math.nan
        fields[name] = tuple(missing if value is None else value for value in fields[name])
    return msgspec.convert(fields, Decision)


def request_cancel(folder: Path, job_id: str) -> None:
    """Ask the engine that works on a state folder to stop a job; it looks once a second."""
    (StateFolder(folder).inbox / f"cancel-{job_id}").touch()


def request_migration(folder: Path, job_id: str, resource_id: str = "") -> None:
    """Ask the engine that works on a state folder to move a job, to a resource if one is named."""
    inbox = StateFolder(folder).inbox
    fresh = inbox / f"new-migrate-{job_id}"
    fresh.write_text(resource_id, encoding="utf-8")
    fresh.replace(inbox / f"migrate-{job_id}")


def _run(view: JobView, attempt: AttemptView, resource: Resource, usage: Usage) -> Run:
    failed_itself = attempt.state is AttemptState.FAILED
    resumed = any(other.checkpoints for other in view.attempts if other is not attempt)
    return Run(
        computation=view.computation,
        resource=resource,
        runtime_s=max(usage.runtime_s, 1e-6),
        at_s=attempt.ended_at_s or attempt.started_at_s,
        failed=attempt.state in (AttemptState.FAILED, AttemptState.LOST),
        censored=resumed if attempt.state is AttemptState.DONE else not failed_itself,
        energy_j=usage.energy_j,
        telemetry=usage.telemetry,
    )
