"""The embedded back end: real worker processes on this machine, one per slot of each resource.

One thread runs the loop and owns everything here; `post` alone may be called from others. Effects of a moment are
carried out after its Settled has been observed, so that the journal holds what caused them.
"""

import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dnaml.core.attempt import AttemptState, Checkpoint, Stored
from dnaml.core.events import (
    AttemptEnded,
    CheckpointSealed,
    Command,
    EndJob,
    Event,
    Explain,
    ResourceDown,
    ResourceUp,
    Settled,
    StartAttempt,
    StopAttempt,
    Tick,
)
from dnaml.execution import messages
from dnaml.execution.attempt_events import ended, ended_by_message, started
from dnaml.execution.checkpoints import CheckpointStore
from dnaml.execution.process import WorkerProcess

NowS = Callable[[], float]


class Listener(Protocol):
    """Is told what concerns users; called from the loop's thread."""

    def payload(self, job_id: str) -> bytes:
        """Return the encoded payload of a job."""
        ...

    def store(self, outcome: bytes, digest: str) -> Stored:
        """Keep the outcome of an attempt."""
        ...

    def starting(self, command: StartAttempt) -> bool:
        """Say whether the job may still start (False: its user cancelled it just now)."""
        ...

    def look_around(self) -> None:
        """Look for what other processes ask; called about once a second."""
        ...

    def ended(self, command: EndJob) -> None:
        """Hand a job's end to whoever waits for it."""
        ...

    def explained(self, command: Explain) -> None:
        """Hand on why a job waits."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """Numbers of the local back end: a silent worker is dead after `dead_after_s` unless it burns CPU."""

    tick_every_s: float = 1.0
    dead_after_s: float = 5.0
    stop_grace_s: float = 5.0
    pids: int | None = 4096


class LocalBackend:
    """Runs attempts in worker processes and turns what happens to them into events."""

    def __init__(
        self, checkpoints: Path, logs: Path, listener: Listener, now_s: NowS, settings: LocalSettings = LocalSettings()
    ) -> None:
        self._checkpoints, self._logs = checkpoints, logs
        self._store = CheckpointStore(checkpoints)
        self._saved: set[str] = set()
        self._listener = listener
        self._now_s = now_s
        self._settings = settings
        self._inbox: deque[Event] = deque()
        self._outbox: list[Command] = []
        self._workers: dict[str, list[WorkerProcess]] = {}
        self._busy: dict[str, WorkerProcess] = {}
        self._unflushed: dict[int, WorkerProcess] = {}
        self._resources: dict[str, ResourceUp] = {}
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._asleep = False
        self._closing = threading.Event()
        self._checked_s: dict[int, tuple[float, float]] = {}

    # -- the stream --------------------------------------------------------------------------------------------------

    def post(self, *events: Event) -> None:
        """Add events to the stream, all at one moment; from any thread."""
        self._inbox.extend(events)
        if self._asleep:
            self._wake()

    def close(self) -> None:
        """End the stream at the next moment; workers are killed."""
        self._closing.set()
        self._wake()

    def _wake(self) -> None:
        self._asleep = False
        try:
            os.write(self._wake_write, b"!")
        except BlockingIOError:
            pass  # the pipe is full, so the loop will wake anyway

    def events(self) -> Iterator[Event]:
        """Yield events until `close`; blocks while nothing happens."""
        next_tick_s = time.monotonic() + self._settings.tick_every_s
        unsettled = False
        try:
            while not self._closing.is_set():
                for event in self._moment(0.0 if unsettled else next_tick_s):
                    unsettled = True
                    yield event
                if time.monotonic() >= next_tick_s:
                    next_tick_s = time.monotonic() + self._settings.tick_every_s
                    self._check_workers()
                    self._listener.look_around()
                    if self._busy or unsettled:
                        unsettled = True
                        yield Tick(at_s=self._now_s())
                if unsettled:
                    yield Settled(at_s=self._now_s())
                    unsettled = False
                    for event in self._carry_out():
                        unsettled = unsettled or isinstance(event, AttemptEnded)
                        yield event
        finally:
            self._shut_down()

    def _moment(self, until_s: float) -> Iterator[Event]:
        """Wait for something to happen, then yield all of it."""
        self._asleep = not self._inbox
        timeout_s = max(0.0, until_s - time.monotonic()) if self._asleep and not self._inbox else 0.0
        ready = self._selector.select(timeout_s)
        self._asleep = False
        for key, _ in ready:
            if key.data is None:
                os.read(self._wake_read, 4096)
            else:
                yield from self._from_worker(*key.data)
        for _ in range(len(self._inbox)):
            event = self._inbox.popleft()
            self._note_resource(event)
            yield event

    def _note_resource(self, event: Event) -> None:
        if isinstance(event, ResourceUp):
            self._resources[event.resource.id] = event
        elif isinstance(event, ResourceDown):
            self._resources.pop(event.resource_id, None)
            for worker in self._workers.get(event.resource_id, []):
                worker.kill()

    # -- commands ----------------------------------------------------------------------------------------------------

    def do(self, command: Command) -> None:
        """Note a command; it is carried out once the events that caused it are in the journal."""
        self._outbox.append(command)

    def _carry_out(self) -> Iterator[Event]:
        while self._outbox:
            commands, self._outbox = self._outbox, []
            for command in commands:
                if isinstance(command, StartAttempt):
                    yield from self._start(command)
                elif isinstance(command, StopAttempt):
                    self._stop(command)
                elif isinstance(command, EndJob):
                    self._listener.ended(command)
                    self._discard_checkpoints(command.job_id)
                elif isinstance(command, Explain):
                    self._listener.explained(command)
            for worker in self._unflushed.values():
                worker.flush()
            self._unflushed.clear()

    def _discard_checkpoints(self, job_id: str) -> None:
        """Remove what a job saved: it is over."""
        if job_id in self._saved:
            self._saved.discard(job_id)
            self._store.discard(job_id)

    def _start(self, command: StartAttempt) -> Iterator[Event]:
        attempt = command.attempt
        if not self._listener.starting(command):
            reason = "cancelled before it started"
            yield ended(self._now_s(), attempt.id, attempt.epoch, AttemptState.CANCELLED, reason, began=False)
            return
        placement = attempt.placement
        if command.checkpoint is not None:
            self._saved.add(attempt.job_id)
            self._store.fence(attempt.job_id, attempt.epoch)
        begin = messages.Begin(
            attempt.id,
            attempt.epoch,
            attempt.job_id,
            attempt.computation_id,
            self._listener.payload(attempt.job_id),
            command.checkpoint.id if command.checkpoint else None,
            placement.checkpoint_every_s,
        )
        try:
            worker = self._worker(placement.resource_id)
            self._busy[attempt.id] = worker
            worker.give(begin)
            self._unflushed[id(worker)] = worker
        except (OSError, KeyError) as error:
            self._busy.pop(attempt.id, None)
            yield started(self._now_s(), attempt, None)  # so that a replay knows of the attempt that is lost here
            reason = f"{placement.resource_id}: no worker could be started: {error}"
            yield ended(self._now_s(), attempt.id, attempt.epoch, AttemptState.LOST, reason)
            return
        yield started(self._now_s(), attempt, worker)

    def _stop(self, command: StopAttempt) -> None:
        worker = self._busy.get(command.attempt_id)
        if worker is not None:
            worker.ask_to_stop(command.attempt_id)

    # -- workers -----------------------------------------------------------------------------------------------------

    def _worker(self, resource_id: str) -> WorkerProcess:
        """Return an idle worker of a resource, a new one while it has slots, else the one with least before it."""
        workers = self._workers.setdefault(resource_id, [])
        resource = self._resources[resource_id].resource
        best = min(workers, key=lambda worker: len(worker.attempts), default=None)
        if best is not None and (not best.attempts or len(workers) >= resource.slots):
            return best
        worker = WorkerProcess(resource, self._checkpoints, self._logs, pids=self._settings.pids)
        self._selector.register(worker.data, selectors.EVENT_READ, (worker, "data"))
        self._selector.register(worker.control, selectors.EVENT_READ, (worker, "control"))
        if worker.pidfd is not None:
            self._selector.register(worker.pidfd, selectors.EVENT_READ, (worker, "death"))
        workers.append(worker)
        return worker

    def _from_worker(self, worker: WorkerProcess, what: str) -> Iterator[Event]:
        if worker.data.fileno() < 0:
            return  # it was buried earlier in this moment
        if what == "control":
            worker.hear()
            return
        try:
            for message in worker.read():
                yield from self._on_message(worker, message)
        except EOFError:
            what = "death"
        if what == "death":
            yield from self._bury(worker)

    def _on_message(self, worker: WorkerProcess, message: messages.FromWorker) -> Iterator[Event]:
        if isinstance(message, messages.Sealed):
            checkpoint = Checkpoint(
                id=message.checkpoint_id,
                attempt_id=message.attempt_id,
                taken_at_s=self._now_s(),
                progress=message.progress,
                size_bytes=message.size_bytes,
            )
            yield CheckpointSealed(
                at_s=checkpoint.taken_at_s, attempt_id=message.attempt_id, epoch=message.epoch, checkpoint=checkpoint
            )
            self._saved.add(message.attempt_id.rpartition(".")[0])
        elif isinstance(message, messages.Ended):
            worker.finished(message.attempt_id)
            self._busy.pop(message.attempt_id, None)
            if "killed_children" in message.metered.extra and not worker.attempts:
                worker.kill()  # what it killed may have served later attempts too: the next one gets a fresh worker
            stored = self._listener.store(message.outcome, message.digest) if message.outcome else None
            yield ended_by_message(self._now_s(), message, stored)

    def _bury(self, worker: WorkerProcess) -> Iterator[Event]:
        """Turn a worker's death into the end of its attempt; a result it managed to send still counts."""
        self._forget(worker)
        self._workers[worker.resource.id].remove(worker)
        stopping = worker.stopping_since_s is not None
        own_doing, cause = worker.bury()
        for message in worker.last_words:
            yield from self._on_message(worker, message)
        for position, (attempt_id, epoch) in enumerate(list(worker.attempts)):
            if self._busy.pop(attempt_id, None) is None:
                continue
            if position:
                reason = "its worker died before it began"
                yield ended(self._now_s(), attempt_id, epoch, AttemptState.LOST, reason, began=False)
            elif stopping:
                yield ended(self._now_s(), attempt_id, epoch, AttemptState.STOPPED, "stopped by force")
            else:
                outcome = AttemptState.FAILED if own_doing else AttemptState.LOST
                yield ended(self._now_s(), attempt_id, epoch, outcome, cause)

    def _forget(self, worker: WorkerProcess) -> None:
        for watched in (worker.data, worker.control, worker.pidfd):
            if watched is not None:
                self._selector.unregister(watched)
        self._checked_s.pop(worker.pid, None)

    def _check_workers(self) -> None:
        """Kill what was asked to stop and did not, and what neither beats nor burns CPU."""
        now_s = time.monotonic()
        for worker in {id(worker): worker for worker in self._busy.values()}.values():
            since_s = worker.stopping_since_s
            broken = worker.broken_limit()
            if broken is not None:
                worker.kill(because=broken)
            elif since_s is not None and now_s - since_s > self._settings.stop_grace_s:
                worker.kill()
            elif now_s - worker.heard_at_s > self._settings.dead_after_s and not self._burns_cpu(worker, now_s):
                worker.kill()

    def _burns_cpu(self, worker: WorkerProcess, now_s: float) -> bool:
        """Say whether a silent worker used CPU since it was last looked at: C code may hold the interpreter's lock."""
        cpu_s = worker.cpu_s()
        if cpu_s is None:
            return False
        _, before_s = self._checked_s.get(worker.pid, (now_s, -1.0))
        self._checked_s[worker.pid] = (now_s, cpu_s)
        return cpu_s > before_s

    def pids(self) -> dict[str, tuple[str, int]]:
        """Return for each running attempt its resource and process id; a snapshot, from any thread."""
        return {attempt_id: (worker.resource.id, worker.pid) for attempt_id, worker in dict(self._busy).items()}

    def _shut_down(self) -> None:
        workers = [worker for group in self._workers.values() for worker in group]
        for worker in workers:
            worker.kill()
        for worker in workers:
            self._forget(worker)
            worker.bury()
        self._workers, self._busy = {}, {}
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
