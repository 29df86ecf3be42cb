"""The embedded back end: real worker processes on this machine, one per slot of each resource.

One thread runs the loop and owns everything here; `post` alone may be called from others. Effects of a moment are
carried out after its Settled has been observed, so that the journal holds what caused them.
"""

import selectors
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from dnaml.core.attempt import AttemptState, Cause, Stored
from dnaml.core.events import (
    AttemptEnded,
    AttemptProgressed,
    Command,
    EndJob,
    Event,
    Explain,
    ResourceDown,
    ResourceUp,
    SealCheckpoint,
    Settled,
    StartAttempt,
    StopAttempt,
    Tick,
    WakeAt,
)
from dnaml.execution import messages, orphans
from dnaml.execution.attempt_events import ended, ended_by_death, ended_by_message, sealed_by_message, started
from dnaml.execution.checkpoints import CheckpointStore, lineage_in, lineage_of
from dnaml.execution.crew import Crew, overran
from dnaml.execution.inbox import Inbox
from dnaml.execution.process import Given, WorkerProcess
from dnaml.execution.settings import LocalSettings as LocalSettings

_DEFAULTS = LocalSettings()

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


class LocalBackend:
    """Runs attempts in worker processes and turns what happens to them into events."""

    def __init__(
        self, checkpoints: Path, logs: Path, listener: Listener, now_s: NowS, settings: LocalSettings = _DEFAULTS
    ) -> None:
        self._store = CheckpointStore(checkpoints)
        self._saved: dict[str, set[str]] = {}
        self._listener = listener
        self._now_s = now_s
        self._settings = settings
        self._outbox: list[Command] = []
        self._busy: dict[str, WorkerProcess] = {}
        self._unflushed: dict[int, WorkerProcess] = {}
        self._resources: dict[str, ResourceUp] = {}
        self._selector = selectors.DefaultSelector()
        self._inbox = Inbox(self._selector)
        self._closing = threading.Event()
        self._crew = Crew(self._selector, checkpoints, logs, settings)
        self._check_at_s = 0.0
        self._wakes_s: list[float] = []
        self._to_sweep: list[str] = []

    # -- the stream --------------------------------------------------------------------------------------------------

    def post(self, *events: Event) -> None:
        """Add events to the stream, all at one moment; from any thread."""
        self._inbox.post(*events)

    def close(self) -> None:
        """End the stream at the next moment; workers are killed."""
        self._closing.set()
        self._inbox.ring()

    def events(self) -> Iterator[Event]:
        """Yield events until `close`; blocks while nothing happens."""
        next_tick_s = self._check_at_s = time.monotonic() + self._settings.tick_every_s
        unsettled = False
        try:
            while not self._closing.is_set():
                if not unsettled and (rest_s := self._crew.rest_s()):
                    self._inbox.rest(rest_s)
                for event in self._moment(0.0 if unsettled else min(self._check_at_s, self._crew.lines_due_s)):
                    unsettled = True
                    yield event
                self._crew.look_at_lines()
                if time.monotonic() >= self._check_at_s:
                    self._crew.check()
                    if time.monotonic() >= next_tick_s:
                        next_tick_s = time.monotonic() + self._settings.tick_every_s
                        self._listener.look_around()
                        self._crew.prepare_spare()
                        if self._busy or unsettled or self._is_woken():
                            unsettled = True
                            yield Tick(at_s=self._now_s())
                    self._check_at_s = self._crew.due_s(next_tick_s)
                if unsettled:
                    yield Settled(at_s=self._now_s())
                    unsettled = False
                    for event in self._carry_out():
                        unsettled = unsettled or isinstance(event, AttemptEnded)
                        yield event
        finally:
            self._shut_down()

    def _is_woken(self) -> bool:
        """Say whether a tick was asked for by now, though nothing runs."""
        waiting = [at_s for at_s in self._wakes_s if at_s > self._now_s()]
        woken, self._wakes_s = len(waiting) < len(self._wakes_s), waiting
        return woken

    def _moment(self, until_s: float) -> Iterator[Event]:
        """Wait for something to happen, then yield all of it."""
        for key, mask in self._inbox.wait(until_s):
            worker, channel = key.data
            yield from self._from_worker(worker, channel, mask)
        for event in self._inbox.take():
            self._note_resource(event)
            yield event

    def _note_resource(self, event: Event) -> None:
        if isinstance(event, ResourceUp):
            self._resources[event.resource.id] = event
        elif isinstance(event, ResourceDown):
            self._resources.pop(event.resource_id, None)
            for worker in self._crew.of(event.resource_id):
                worker.kill(f"{event.resource_id} was taken away: {event.reason}", Cause.INTERRUPTED)

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
                elif isinstance(command, SealCheckpoint):
                    self._seal(command)
                elif isinstance(command, EndJob):
                    self._sweep()
                    self._listener.ended(command)
                    self._discard_checkpoints(command.job_id)
                elif isinstance(command, Explain):
                    self._listener.explained(command)
                elif isinstance(command, WakeAt):
                    self._wakes_s.append(command.at_s)
            for worker in self._unflushed.values():
                self._crew.flush(worker)
            self._unflushed.clear()
        self._sweep()

    def _sweep(self) -> None:
        """Kill what dead workers left behind; their work goes on elsewhere first, but no job of theirs ends before."""
        while self._to_sweep:
            orphans.kill_left_behind(self._to_sweep.pop())

    def _discard_checkpoints(self, job_id: str) -> None:
        """Remove what a job saved: it is over."""
        for lineage in self._saved.pop(job_id, ()):
            self._store.discard(lineage)

    def _start(self, command: StartAttempt) -> Iterator[Event]:
        attempt = command.attempt
        if not self._listener.starting(command):
            reason = "cancelled before it started"
            yield ended(self._now_s(), attempt.id, attempt.epoch, AttemptState.CANCELLED, reason, began=False)
            return
        try:
            resource = self._resources[attempt.placement.resource_id].resource
            worker = self._crew.worker(resource)
            expected_s = _expected_s(command) if resource.slots > 1 else 0.0
            worker.give(self._begin(command), command.kill_after_s, expected_s)
            self._busy[attempt.id] = worker
            self._unflushed[id(worker)] = worker
            self._fence(command)
        except (OSError, KeyError) as error:
            yield started(self._now_s(), attempt, None)  # so that a replay knows of the attempt that is lost here
            reason = f"{attempt.placement.resource_id}: no worker could be started: {error}"
            yield ended(self._now_s(), attempt.id, attempt.epoch, AttemptState.LOST, reason)
            return
        yield started(self._now_s(), attempt, worker)

    def _begin(self, command: StartAttempt) -> messages.Begin:
        attempt, placement = command.attempt, command.attempt.placement
        return messages.Begin(
            attempt.id,
            attempt.epoch,
            attempt.job_id,
            attempt.computation_id,
            self._listener.payload(attempt.job_id),
            command.checkpoint.id if command.checkpoint else None,
            placement.checkpoint_every_s,
            placement.part,
            placement.parts,
            placement.start,
            placement.share,
            lineage_of(attempt.job_id, placement.replica, placement.part),
        )

    def _fence(self, command: StartAttempt) -> None:
        """Refuse what an earlier attempt may still save, now that this one has a worker.

        One that is known to work here, the source of a move, is refused once this one saves.
        """
        attempt = command.attempt
        if attempt.epoch > 1 and command.computation.checkpointable:
            lineage = lineage_of(attempt.job_id, attempt.placement.replica, attempt.placement.part)
            self._saved.setdefault(attempt.job_id, set()).add(lineage)
            given = (each for worker in self._busy.values() for each in worker.attempts.values())
            if not any(each.lineage == lineage and each.epoch < attempt.epoch for each in given):
                self._store.fence(lineage, attempt.epoch)

    def _stop(self, command: StopAttempt) -> None:
        worker = self._busy.get(command.attempt_id)
        if worker is not None:
            worker.ask_to_stop(command.attempt_id)

    def _seal(self, command: SealCheckpoint) -> None:
        worker = self._busy.get(command.attempt_id)
        if worker is not None:
            worker.tell(messages.Seal(command.attempt_id))

    # -- workers -----------------------------------------------------------------------------------------------------

    def _from_worker(self, worker: WorkerProcess, what: str, mask: int) -> Iterator[Event]:
        if worker.data.fileno() < 0:
            return  # it was buried earlier in this moment
        if mask & selectors.EVENT_WRITE:
            self._crew.flush(worker)
        if not mask & selectors.EVENT_READ:
            return
        if what == "control":
            for beat in worker.hear():
                yield from self._on_beat(worker, beat)
            return
        try:
            for message in worker.read():
                yield from self._on_message(worker, message)
        except EOFError:
            what = "death"
        if what == "death":
            yield from self._bury(worker)

    def _on_beat(self, worker: WorkerProcess, beat: messages.Beat) -> Iterator[Event]:
        """Take in how far an attempt is, and tell it if it got any further."""
        given = worker.attempts[beat.attempt_id]
        given.used_s = beat.used_s
        if given.kill_after_s is not None and given.used_s >= given.kill_after_s:
            self._check_at_s = 0.0
        if beat.progress != given.progress:
            given.progress = beat.progress
            yield AttemptProgressed(
                at_s=self._now_s(),
                attempt_id=beat.attempt_id,
                epoch=beat.epoch,
                progress=beat.progress,
                used_s=beat.used_s,
            )

    def _on_message(self, worker: WorkerProcess, message: messages.FromWorker) -> Iterator[Event]:
        if isinstance(message, messages.Sealed):
            job_id = message.attempt_id.rpartition(".")[0]
            self._saved.setdefault(job_id, set()).add(lineage_in(message.checkpoint_id))
            yield sealed_by_message(self._now_s(), message)
        elif isinstance(message, messages.Ended):
            given = worker.finished(message.attempt_id)
            worker.last_s = message.metered.wall_s
            self._busy.pop(message.attempt_id, None)
            if "killed_children" in message.metered.extra and not worker.attempts:
                worker.kill()  # what it killed may have served later attempts too: the next one gets a fresh worker
            stored = self._listener.store(message.outcome, message.digest) if message.outcome else None
            yield ended_by_message(self._now_s(), message, stored, self._cause(worker, given, message))

    @staticmethod
    def _cause(worker: WorkerProcess, given: Given | None, message: messages.Ended) -> Cause | None:
        """Classify the end of an attempt that its worker lived to report."""
        if message.state == "done":
            return None
        if given is not None and given.expired_s is not None:
            message.state, message.error = "failed", overran(given)
            return Cause.OVERRAN
        if message.state == "failed" and (message.out_of_memory or worker.ran_out_of_memory()):
            return Cause.OUT_OF_MEMORY
        return None

    def _bury(self, worker: WorkerProcess) -> Iterator[Event]:
        """Turn a worker's death into the end of its attempt; a result it managed to send still counts."""
        self._crew.part_with(worker)
        stopping = worker.stopping_since_s is not None
        death = worker.bury(sweeps=False)
        self._to_sweep.append(worker.token)
        for message in worker.last_words:
            yield from self._on_message(worker, message)
        for position, given in enumerate(list(worker.attempts.values())):
            if self._busy.pop(given.attempt_id, None) is None:
                continue
            if position:
                reason = "its worker died before it began"
                yield ended(self._now_s(), given.attempt_id, given.epoch, AttemptState.LOST, reason, began=False)
            elif stopping and death.cause in (None, Cause.DIED):
                yield ended(self._now_s(), given.attempt_id, given.epoch, AttemptState.STOPPED, "stopped by force")
            else:
                yield ended_by_death(self._now_s(), given, death)

    def pids(self) -> dict[str, tuple[str, int]]:
        """Return for each running attempt its resource and process id; a snapshot, from any thread."""
        return {
            attempt_id: (worker.resource.id, worker.pid)
            for attempt_id, worker in dict(self._busy).items()
            if worker.resource is not None
        }

    def _shut_down(self) -> None:
        self._crew.shut_down()
        self._sweep()
        self._busy = {}
        self._selector.close()
        self._inbox.close()


def _expected_s(command: StartAttempt) -> float:
    """Return how long an attempt was predicted to run; 0 where its decision does not tell."""
    decision, attempt = command.decision, command.attempt
    where = attempt.placement.resource_id
    if where not in decision.resource_ids:
        return 0.0
    whole_s = decision.runtime_p50_s[decision.resource_ids.index(where)]
    return max(0.0, whole_s * attempt.placement.share * (1.0 - attempt.progress))
