"""The loop, and the embedded engine around it: events go to the journal, the controller decides, the backend acts.

A restart feeds the stored events to a new controller and drops its commands: the journal is the state.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import msgspec

from dnaml.core import events as ev
from dnaml.core.attempt import Attempt, Stored
from dnaml.core.errors import CorruptError, InputError, StateFolderError, StorageUnavailable
from dnaml.core.events import Command, EndJob, Event, Explain, StartAttempt
from dnaml.core.protocols import Backend, Policy, Predictor
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Job, Objective
from dnaml.datasets.environments import keep_environment
from dnaml.datasets.state import StateFolder
from dnaml.dna.space import similarities
from dnaml.durable.admission import Accepted
from dnaml.durable.last_seals import LastSeals
from dnaml.durable.settings import StorageSettings
from dnaml.durable.store import Store
from dnaml.execution import messages
from dnaml.execution.crashpoints import CrashPoint, reach
from dnaml.execution.environment import current_environment, environment_digest
from dnaml.execution.local import Listener, LocalBackend, LocalSettings, NowS
from dnaml.predict.guarded import Guarded, Health
from dnaml.schedule.controller import Controller
from dnaml.schedule.planning import ControllerSettings
from dnaml.telemetry.refresh import Refresher
from dnaml.telemetry.watch import Watch

HEALTH = "health.json"  # in the state folder, while something is degraded
Decided = Callable[[Sequence[Command], float], None]
_log = logging.getLogger(__name__)
_encode_decision = msgspec.json.Encoder().encode


def run(
    controller: Controller, backend: Backend, *observers: Callable[[Event], None], decided: Decided | None = None
) -> None:
    """Drive a controller with a backend's events; observers see each first, `decided` what followed, in how long."""
    for event in backend.events():
        for observe in observers:
            observe(event)
        reach(CrashPoint.EVENT_APPENDED)
        began_s = time.perf_counter()
        commands = controller.handle(event)
        if decided is not None and commands:
            decided(commands, time.perf_counter() - began_s)
        reach(CrashPoint.COMMANDS_DECIDED)
        for command in commands:
            backend.do(command)
            reach(CrashPoint.COMMAND_DONE)


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
    storage: StorageSettings = StorageSettings()
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

    def decided(self, commands: Sequence[Command], took_s: float) -> None:
        """Take what was decided at an event, before it is carried out, and how long that took."""

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
        self._watcher = watcher
        self._failure: BaseException | None = None
        self.store = Store(self.state, settings.storage, self._on_damage)
        self._keep_health(Health())
        self._fresh: dict[tuple[int, int], bytes] = {}
        self._clock = Clock(self.store.now_s())
        try:
            predictor = Guarded.of(predictor, report=self._keep_health)
            keep_environment(self.state.root, environment_digest(), current_environment().to_json())
            self.controller = Controller(policy, predictor, objective, settings.controller, settings.seed, similarities)
            self.backend = self._open(settings)
            self._last_seals = LastSeals(self.backend.do, self._checkpointable)
            self._resume(policy, predictor, objective, settings.seed)
        except BaseException:
            self.store.close()
            raise
        self._thread = threading.Thread(target=self._loop, name="dnaml-engine", daemon=True)
        self._thread.start()
        self._watch = _watch(self.state, self.backend, settings.sample_every_s, self._clock.now_s)
        pool = self.controller.pool
        self._refresher = Refresher(
            lambda: pool.resources,
            lambda states: self.backend.post(*(ev.ResourceRefreshed(at_s=self.now_s(), state=one) for one in states)),
            period_s=settings.refresh_every_s,
            error_rate=pool.error_rate,
            clock=self.now_s,
        ).start()

    def _open(self, settings: EngineSettings) -> LiveBackend:
        outlet, now_s = _Outlet(self), self._clock.now_s
        if settings.open_backend is not None:
            return settings.open_backend(self.state, outlet, now_s)
        return LocalBackend(self.state.checkpoints, self.state.logs, outlet, now_s, settings.local)

    # -- in --------------------------------------------------------------------------------------------------------

    def submit(self, *accepted: Accepted, durable: bool | None = None) -> None:
        """Accept jobs: when this returns, they survive SIGKILL of this process, and power loss if `durable`.

        Several are planned as one batch. `durable` None leaves that to the settings. Raises StorageUnavailable while
        the storage refuses, FencedError when another engine took over.
        """
        self.backend.post(*self.store.admission.accept(accepted, durable=durable))

    def submit_once(
        self, job: Job, computation: Computation, payload: messages.Payload, *, durable: bool | None = None
    ) -> str:
        """Accept a job unless its idempotency key was used, and return the id of the job behind the key.

        The payload's `request_digest` stands for the request; RepeatedKeyError when the key came with another one.
        """
        job_id, events = self.store.admission.accept_once(job, computation, payload, durable=durable)
        self.backend.post(*events)
        return job_id

    def configure(self, objective: Objective, policy: Policy | None = None, predictor: Predictor | None = None) -> None:
        """Go on under another objective, policy or predictor; what waits is planned again."""
        if predictor is not None:
            predictor = Guarded.of(predictor, report=self._keep_health)
        self.controller.offer(policy, predictor)
        names = (policy.name if policy else "", predictor.version if predictor else "")
        self.post(ev.Configured(at_s=self.now_s(), policy=names[0], model=names[1], objective=objective))

    def post(self, event: Event) -> None:
        """Add an event to the stream: resources that come and go, cancellations, prices."""
        self.backend.post(event)

    def add_resources(self, *resources: Resource) -> None:
        """Offer resources, or replace their descriptions, all at one moment."""
        self.backend.post(*(ev.ResourceUp(at_s=self.now_s(), resource=resource) for resource in resources))

    def now_s(self) -> float:
        """Return seconds since 1970 on the engine's clock, which never runs backwards."""
        return self._clock.now_s()

    def drain(self, patience_s: float = 2.0) -> bool:
        """Admit nobody more, and give what runs and can so long to seal a checkpoint; True when all have."""
        self.store.admission.refuse(StorageUnavailable("the engine is ending"))
        self._last_seals.want()
        with contextlib.suppress(OSError):  # a loop that broke has closed its back end
            self.post(ev.Tick(at_s=self.now_s()))
        return self._failure is None and self._last_seals.wait(patience_s)

    def _checkpointable(self) -> list[Attempt]:
        entries = self.controller.ledger.open.values()
        return [one for entry in entries if entry.computation.checkpointable for one in entry.live.values()]

    def close(self, timeout_s: float = 10.0) -> None:
        """End the loop, kill the workers, close the files, give the lock back."""
        self._refresher.stop()
        if self._watch is not None:
            self._watch.stop()
        self.store.stop()
        self._end_loop()
        self._thread.join(timeout_s)
        self._keep_health(Health())
        self.store.close()

    # -- the loop --------------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        try:
            heard = (self._on_event, self.store.append, self._watcher.happened)
            run(self.controller, self.backend, *heard, decided=self._watcher.decided)
        except BaseException as error:  # noqa: BLE001  # the loop's edge: whoever waits must hear of it
            self._failure = self._failure or error
        try:
            self.store.finish(sound=self._failure is None)
        except Exception as error:  # noqa: BLE001  # closing a full disk fails too
            self._failure = self._failure or error
        if self._failure is not None:
            self._watcher.broke(self._failure)

    def _on_damage(self, error: CorruptError) -> None:
        """End the loop: what is stored cannot be trusted."""
        self._failure = error
        self.store.admission.refuse(StorageUnavailable(str(error)))
        self._end_loop()

    def _end_loop(self) -> None:
        with contextlib.suppress(OSError):  # a loop that broke has closed its back end
            self.backend.close()

    def _on_event(self, event: Event) -> None:
        """Write what the events of a moment point at before the journal commits them."""
        self.store.before(event)
        self._last_seals.happened(event)
        if isinstance(event, ev.Tick):
            self._fresh.clear()

    def look_for_requests(self) -> None:
        """Give a sign of life, and take in what other processes asked for through the state folder."""
        self.store.look_around()
        for path in self.state.inbox.glob("cancel-*"):
            path.unlink(missing_ok=True)
            self.post(ev.CancelRequested(at_s=self.now_s(), job_id=path.name.removeprefix("cancel-"), running=True))
        for path in self.state.inbox.glob("migrate-*"):
            where = path.read_text(encoding="utf-8") or None
            path.unlink(missing_ok=True)
            self.post(ev.MigrateRequested(at_s=self.now_s(), job_id=path.name[len("migrate-") :], resource_id=where))

    def _resume(self, policy: Policy, predictor: Predictor, objective: Objective, seed: int) -> None:
        """Replay the journal, then take in what was accepted but not yet journaled."""
        began = False
        for event in self.store.replay():
            began = True
            self._clock.not_before(event.at_s)
            commands = self.controller.recover(event)
            self.store.followed(commands)
            self._watcher.replayed(event, commands)
        missed = self.store.missed(self.controller.ledger.open.__contains__, self.now_s())
        at_s = self.now_s()
        if began:
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
        return self.store.admission.payload(job_id)

    def store_outcome(self, outcome: bytes, digest: str) -> Stored:
        """Keep the outcome of an attempt, unread."""
        stored = self.store.outcomes.append(outcome, digest=digest or None, later=True)
        self._fresh[stored.segment, stored.offset] = outcome
        reach(CrashPoint.RESULT_STORED)
        return stored

    def starting(self, command: StartAttempt) -> bool:
        """Record the decision and ask the user's side whether the job may start."""
        self.store.decisions.append(_encode_decision(command.decision), digest="-", later=True)
        return self._watcher.starting(command)

    def ended(self, command: EndJob) -> None:
        """Hand a job's end and its outcome to the user's side."""
        outcome = self._outcome(command.result) if command.result is not None else None
        parts = tuple(self._outcome(stored) for stored in command.parts)
        self.store.ended(command.job_id)
        self._watcher.ended(command, outcome, parts)

    def _outcome(self, stored: Stored) -> bytes:
        return self._fresh.pop((stored.segment, stored.offset), None) or self.store.outcomes.read(stored)

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


def _watch(state: StateFolder, backend: LiveBackend, every_s: float, now_s: NowS) -> Watch | None:
    """Start sampling beside the engine; without a store it goes on without telemetry, and says so."""
    try:
        here = backend.pids if isinstance(backend, LocalBackend) else dict  # processes elsewhere are watched there
        return Watch(state.root, here, period_s=every_s, clock=now_s).start()
    except StateFolderError as error:
        _log.warning("no telemetry is kept: %s", error)
        return None


class Clock:
    """Seconds since 1970 that never run backwards: `start_s` or wall time at the start, monotonic time after it."""

    def __init__(self, start_s: float | None = None) -> None:
        self._base_s = (time.time() if start_s is None else start_s) - time.monotonic()

    def not_before(self, at_s: float) -> None:
        """Make sure that no later reading lies before `at_s`."""
        self._base_s = max(self._base_s, at_s - time.monotonic())

    def now_s(self) -> float:
        """Return the time."""
        return self._base_s + time.monotonic()
