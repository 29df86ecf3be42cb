"""The loop, and the embedded engine around it: events go to the journal, the controller decides, the backend acts.

A restart feeds the stored events to a new controller and drops its commands: the journal is the state.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import msgspec

from dnaml.core import events as ev
from dnaml.core.attempt import Stored
from dnaml.core.errors import InputError, StateFolderError
from dnaml.core.events import Command, EndJob, Event, Explain, StartAttempt
from dnaml.core.protocols import Backend, Policy, Predictor
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Job, Objective
from dnaml.datasets.blobs import BlobLog
from dnaml.datasets.environments import keep_environment
from dnaml.datasets.journal import SqlJournal, decode_event, encode_event
from dnaml.datasets.state import StateFolder
from dnaml.dna.space import similarities
from dnaml.execution import messages
from dnaml.execution.crashpoints import CrashPoint, reach
from dnaml.execution.environment import current_environment, environment_digest
from dnaml.execution.local import Listener, LocalBackend, LocalSettings, NowS
from dnaml.predict.guarded import Guarded, Health
from dnaml.schedule.controller import Controller
from dnaml.schedule.planning import ControllerSettings
from dnaml.telemetry.refresh import Refresher
from dnaml.telemetry.watch import Watch

_SMALL_BYTES, _MOST_RECENT = 1 << 14, 4096  # payloads kept in memory until their first start
HEALTH = "health.json"  # in the state folder, while something is degraded
_log = logging.getLogger(__name__)
_encode_decision = msgspec.json.Encoder().encode


def run(controller: Controller, backend: Backend, *observers: Callable[[Event], None]) -> None:
    """Drive a controller with a backend's events until they end; observers (the journal is one) see each first."""
    for event in backend.events():
        for observe in observers:
            observe(event)
        reach(CrashPoint.EVENT_APPENDED)
        for command in controller.handle(event):
            backend.do(command)


class LiveBackend(Backend, Protocol):
    """Is a backend that an engine can hold: `pids` are the running attempts' resources and processes."""

    def post(self, *events: Event) -> None:
        """Add events to the stream, all at one moment; from any thread."""
        ...

    def pids(self) -> dict[str, tuple[str, int]]:
        """Return attempt id -> (resource id, process id)."""
        ...

    def close(self) -> None:
        """End the stream of events."""
        ...


OpenBackend = Callable[[StateFolder, Listener, NowS], LiveBackend]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What an embedded engine is made of, beside its policy and predictor."""

    controller: ControllerSettings = ControllerSettings()
    local: LocalSettings = LocalSettings()
    open_backend: OpenBackend | None = None
    """makes the back end that runs attempts elsewhere; None runs them in processes of this machine"""
    sample_every_s: float = 1.0
    refresh_every_s: float = 300.0
    seed: int = 0

    def on(self, engine: str, address: str = "auto") -> "EngineSettings":
        """Return the settings with the back end of an engine's name: "local", or "ray" at a cluster's address."""
        if engine == "local":
            return self
        if engine != "ray":
            raise InputError(f"engine must be local or ray, got {engine!r}")
        from dnaml.execution.on_ray import on_ray

        return replace(self, open_backend=on_ray(address))


class Watcher:
    """Receives what concerns one user of an engine; the client's futures are built on it. Called from the loop."""

    def replayed(self, event: Event, commands: Sequence[Command]) -> None:
        """Take a stored event and what followed from it at the time; called before the loop starts."""

    def happened(self, event: Event) -> None:
        """Take an event that was just given to the journal."""

    def starting(self, command: StartAttempt) -> bool:
        """Say whether the job may start."""
        return True

    def ended(self, command: EndJob, outcome: bytes | None, parts: Sequence[bytes] = ()) -> None:
        """Take a job's end and the encoded outcome behind it; those of its parts in order where it was split."""

    def explained(self, command: Explain) -> None:
        """Take the reason why a job waits."""

    def broke(self, error: BaseException) -> None:
        """Take the error that ended the loop."""


class Engine:
    """The embedded engine on a state folder. `open` takes the lock, replays the journal and starts the loop."""

    def __init__(
        self,
        folder: Path,
        policy: Policy,
        predictor: Predictor,
        objective: Objective,
        watcher: Watcher,
        settings: EngineSettings = EngineSettings(),
    ) -> None:
        self.state = StateFolder(folder)
        self.state.lock()
        try:
            self._journal = SqlJournal(self.state.journal)
            self._payloads = BlobLog(self.state.blobs, "payloads")
            self._outcomes = BlobLog(self.state.blobs, "outcomes")
            self._decisions = BlobLog(self.state.blobs, "decisions")
        except BaseException:
            self.state.unlock()
            raise
        self._watcher = watcher
        self._keep_health(Health())
        predictor = Guarded.of(predictor, report=self._keep_health)
        keep_environment(self.state.root, environment_digest(), current_environment().to_json())
        self._where: dict[str, Stored] = {}
        self._recent: dict[str, bytes] = {}
        self._fresh: dict[tuple[int, int], bytes] = {}
        self.controller = Controller(policy, predictor, objective, settings.controller, settings.seed, similarities)
        self._clock = Clock()
        self.backend = self._open(settings)
        self._resume(policy, predictor, objective, settings.seed)
        self._thread = threading.Thread(target=self._loop, name="dnaml-engine", daemon=True)
        self._thread.start()
        self._watch = _watch(self.state, self.backend, settings.sample_every_s)
        pool = self.controller.pool
        self._refresher = Refresher(
            lambda: pool.resources,
            lambda state: self.post(ev.ResourceRefreshed(at_s=self.now_s(), state=state)),
            period_s=settings.refresh_every_s,
            error_rate=pool.error_rate,
            clock=self.now_s,
        ).start()

    def _open(self, settings: EngineSettings) -> LiveBackend:
        """Open the back end; the folder's lock is given back when that fails."""
        outlet, now_s = _Outlet(self), self._clock.now_s
        try:
            if settings.open_backend is not None:
                return settings.open_backend(self.state, outlet, now_s)
            return LocalBackend(self.state.checkpoints, self.state.logs, outlet, now_s, settings.local)
        except BaseException:
            self.state.unlock()
            raise

    # -- in --------------------------------------------------------------------------------------------------------

    def submit(self, *accepted: tuple[Job, Computation, messages.Payload]) -> None:
        """Accept jobs: when this returns, they survive SIGKILL of this process. Several are planned as one batch."""
        events: list[Event] = []
        for job, computation, payload in accepted:
            event = ev.Submitted(at_s=job.submitted_at_s, job=job, computation=computation)
            payload.submitted = encode_event(event)
            body = messages.encode(payload)
            self._where[job.id] = self._payloads.append(body, digest="-")
            if len(body) <= _SMALL_BYTES and len(self._recent) < _MOST_RECENT:
                self._recent[job.id] = body
            events.append(event)
        self.backend.post(*events)

    def configure(self, objective: Objective, policy: Policy | None = None, predictor: Predictor | None = None) -> None:
        """Go on under another objective, policy or predictor; what waits is planned again."""
        if predictor is not None:
            predictor = Guarded.of(predictor, report=self._keep_health)
        self.controller.offer(policy, predictor)
        self.post(
            ev.Configured(
                at_s=self.now_s(),
                policy=policy.name if policy else "",
                model=predictor.version if predictor else "",
                objective=objective,
            )
        )

    def post(self, event: Event) -> None:
        """Add an event to the stream: resources that come and go, cancellations, prices."""
        self.backend.post(event)

    def add_resources(self, *resources: Resource) -> None:
        """Offer resources, or replace their descriptions, all at one moment."""
        self.backend.post(*(ev.ResourceUp(at_s=self.now_s(), resource=resource) for resource in resources))

    def now_s(self) -> float:
        """Return seconds since 1970 on the engine's clock, which never runs backwards."""
        return self._clock.now_s()

    def close(self, timeout_s: float = 10.0) -> None:
        """End the loop, kill the workers, close the files, give the lock back."""
        self._refresher.stop()
        if self._watch is not None:
            self._watch.stop()
        self.backend.close()
        self._thread.join(timeout_s)
        for log in (self._payloads, self._outcomes, self._decisions):
            log.close()
        self._keep_health(Health())
        self.state.unlock()

    # -- the loop --------------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        try:
            run(self.controller, self.backend, self._on_event, self._journal.append, self._watcher.happened)
        except BaseException as error:  # noqa: BLE001  # the loop's edge: whoever waits must hear of it
            self._watcher.broke(error)
        finally:
            try:
                self._journal.close()
            except Exception as error:  # noqa: BLE001  # closing a full disk fails too; the first error was told
                self._watcher.broke(error)

    def _on_event(self, event: Event) -> None:
        """Write what the events of a moment point at before the journal commits them."""
        if isinstance(event, ev.Settled):
            self._outcomes.flush()
            self._decisions.flush()
        elif isinstance(event, ev.Tick):
            self._fresh.clear()

    def look_for_requests(self) -> None:
        """Take in what other processes asked for through the state folder."""
        for path in self.state.inbox.glob("cancel-*"):
            path.unlink(missing_ok=True)
            self.post(ev.CancelRequested(at_s=self.now_s(), job_id=path.name.removeprefix("cancel-"), running=True))

    def _resume(self, policy: Policy, predictor: Predictor, objective: Objective, seed: int) -> None:
        """Replay the journal, then take in what was accepted but not yet journaled."""
        seen: set[str] = set()
        for event in self._journal.replay():
            self._clock.not_before(event.at_s)
            if isinstance(event, ev.Submitted):
                seen.add(event.job.id)
            self._watcher.replayed(event, self.controller.recover(event))
        missed = []
        for stored, body in self._payloads.frames():
            submitted = decode_event("Submitted", messages.decode_payload(body).submitted)
            if not isinstance(submitted, ev.Submitted):
                continue
            self._where[submitted.job.id] = stored
            if submitted.job.id not in seen:
                missed.append(replace(submitted, at_s=self.now_s()))
        at_s = self.now_s()
        if seen:
            self.post(ev.Resumed(at_s=at_s))
        self.post(ev.Configured(at_s=at_s, policy=policy.name, model=predictor.version, objective=objective, seed=seed))
        for event in missed:
            self.post(event)

    def _keep_health(self, health: Health) -> None:
        """Write what is degraded to where other processes look for it; where nothing is, there is no file."""
        file = self.state.root / HEALTH
        try:
            if health.is_good:
                file.unlink(missing_ok=True)
            else:
                fresh = file.with_suffix(".new")
                fresh.write_bytes(msgspec.json.encode(health))
                fresh.replace(file)
                _log.info("degraded: %s", health)
        except OSError as error:
            _log.warning("%s cannot be written: %s", file, error)

    # -- out -------------------------------------------------------------------------------------------------------

    def payload_of(self, job_id: str) -> bytes:
        """Return the stored payload of a job; KeyError when there is none."""
        return self._recent.pop(job_id, None) or self._payloads.read(self._where[job_id])

    def store_outcome(self, outcome: bytes, digest: str) -> Stored:
        """Keep the outcome of an attempt, unread."""
        stored = self._outcomes.append(outcome, digest=digest or None, later=True)
        self._fresh[stored.segment, stored.offset] = outcome
        return stored

    def starting(self, command: StartAttempt) -> bool:
        """Record the decision and ask the user's side whether the job may start."""
        self._decisions.append(_encode_decision(command.decision), digest="-", later=True)
        return self._watcher.starting(command)

    def ended(self, command: EndJob) -> None:
        """Hand a job's end and its outcome to the user's side."""
        outcome = self._outcome(command.result) if command.result is not None else None
        parts = tuple(self._outcome(stored) for stored in command.parts)
        self._where.pop(command.job_id, None)
        self._recent.pop(command.job_id, None)
        self._watcher.ended(command, outcome, parts)

    def _outcome(self, stored: Stored) -> bytes:
        return self._fresh.pop((stored.segment, stored.offset), None) or self._outcomes.read(stored)

    def explained(self, command: Explain) -> None:
        """Hand on why a job waits."""
        self._watcher.explained(command)


class _Outlet:
    """The backend's view of its engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def payload(self, job_id: str) -> bytes:
        return self._engine.payload_of(job_id)

    def store(self, outcome: bytes, digest: str) -> Stored:
        return self._engine.store_outcome(outcome, digest)

    def look_around(self) -> None:
        self._engine.look_for_requests()

    def starting(self, command: StartAttempt) -> bool:
        return self._engine.starting(command)

    def ended(self, command: EndJob) -> None:
        self._engine.ended(command)

    def explained(self, command: Explain) -> None:
        self._engine.explained(command)


def _watch(state: StateFolder, backend: LiveBackend, every_s: float) -> Watch | None:
    """Start sampling beside the engine; without a store it goes on without telemetry, and says so."""
    try:
        here = backend.pids if isinstance(backend, LocalBackend) else dict  # processes elsewhere are watched there
        return Watch(state.root, here, period_s=every_s).start()
    except StateFolderError as error:
        _log.warning("no telemetry is kept: %s", error)
        return None


class Clock:
    """Seconds since 1970 that never run backwards: wall time at the start, monotonic time after it."""

    def __init__(self) -> None:
        self._base_s = time.time() - time.monotonic()

    def not_before(self, at_s: float) -> None:
        """Make sure that no later reading lies before `at_s`."""
        self._base_s = max(self._base_s, at_s - time.monotonic())

    def now_s(self) -> float:
        """Return the time."""
        return self._base_s + time.monotonic()
