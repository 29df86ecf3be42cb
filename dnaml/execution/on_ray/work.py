"""What runs on the nodes: attempts are sent, what is said of them is checked by epoch and told on, and none is lost."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from dnaml.core import events as ev
from dnaml.core.attempt import Attempt, AttemptState, Cause, Checkpoint
from dnaml.core.errors import DnamlError
from dnaml.core.events import (
    AttemptEnded,
    Command,
    EndJob,
    Event,
    Explain,
    SealCheckpoint,
    StartAttempt,
    StopAttempt,
)
from dnaml.core.resource import Resource
from dnaml.execution.attempt_events import ended, started
from dnaml.execution.checkpoints import CheckpointStore, lineage_in
from dnaml.execution.local import Listener, NowS
from dnaml.execution.on_ray import wire
from dnaml.execution.on_ray.carrying import Receiver, chunks, open_checkpoint
from dnaml.execution.on_ray.peers import Peer, Peers

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Live:
    """An attempt on a node; `pid` and `log` are known once it began."""

    attempt: Attempt
    peer: Peer
    pid: int | None = None
    log: str = ""

    @property
    def begun(self) -> bool:
        """Say whether its node told that it began."""
        return self.pid is not None


@dataclass(slots=True)
class Saved:
    """Where checkpoints of a job may lie: on which nodes, under which names."""

    nodes: set[str] = field(default_factory=set)
    lineages: set[str] = field(default_factory=set)


class LiveWork:
    """Sends attempts to nodes and hears of them; `refused` counts what came of attempts that are over for us."""

    def __init__(
        self, checkpoints: Path, logs: Path, listener: Listener, now_s: NowS, peers: Peers, *, carries: bool
    ) -> None:
        self.live: dict[str, Live] = {}
        self.offered: dict[str, Resource] = {}
        self.refused = 0
        self._store = CheckpointStore(checkpoints)
        self._receiver = Receiver(self._store)
        self._logs, self._listener, self._now_s = logs, listener, now_s
        self._peers, self._carries = peers, carries
        self._saved: dict[str, Saved] = {}

    def pids(self) -> dict[str, tuple[str, int]]:
        """Return for each attempt that began its resource and its process id there."""
        running = dict(self.live).items()
        return {name: (each.attempt.placement.resource_id, each.pid) for name, each in running if each.pid is not None}

    # -- commands ----------------------------------------------------------------------------------------------------

    def carry_out(self, command: Command) -> Iterator[Event]:
        """Do what the controller decided."""
        if isinstance(command, StartAttempt):
            yield from self._start(command)
        elif isinstance(command, StopAttempt):
            if (live := self.live.get(command.attempt_id)) is not None:
                live.peer.say(wire.Stop(command.attempt_id, command.epoch, command.reason))
        elif isinstance(command, SealCheckpoint):
            if (live := self.live.get(command.attempt_id)) is not None:
                live.peer.say(wire.Seal(command.attempt_id, command.epoch))
        elif isinstance(command, EndJob):
            self._listener.ended(command)
            self._discard(command.job_id)
        elif isinstance(command, Explain):
            self._listener.explained(command)

    def _start(self, command: StartAttempt) -> Iterator[Event]:
        attempt = command.attempt
        if not self._listener.starting(command):
            reason = "cancelled before it started"
            yield ended(self._now_s(), attempt.id, attempt.epoch, AttemptState.CANCELLED, reason, began=False)
            return
        peer = self._peers.by_resource.get(attempt.placement.resource_id)
        if peer is None:
            yield started(self._now_s(), attempt, None)  # so that a replay knows of the attempt that is lost here
            reason = f"{attempt.placement.resource_id}: its node is gone"
            yield ended(self._now_s(), attempt.id, attempt.epoch, AttemptState.LOST, reason, began=False)
            return
        self.live[attempt.id] = Live(attempt, peer)
        if command.checkpoint is not None or (attempt.epoch > 1 and command.computation.checkpointable):
            self._note_saved(attempt.job_id, peer, command.checkpoint)
        if command.checkpoint is not None and self._carries:
            self._send_checkpoint(peer, command.checkpoint.id)
        payload = self._listener.payload(attempt.job_id)
        peer.say(
            wire.Start(
                attempt.id,
                attempt.epoch,
                attempt.computation_id,
                attempt.placement,
                payload,
                command.checkpoint,
                command.kill_after_s,
                command.computation.checkpointable,
            )
        )

    def _send_checkpoint(self, peer: Peer, checkpoint_id: str) -> None:
        """Send a checkpoint ahead of the attempt that goes on from it, unless its node has it."""
        if checkpoint_id in peer.held:
            return
        try:
            file = open_checkpoint(self._store.folder, checkpoint_id)
        except (OSError, DnamlError) as error:
            _log.warning("checkpoint %s cannot be sent: %s", checkpoint_id, error)
            return
        offset = 0
        for chunk in chunks(checkpoint_id, file):
            peer.say(chunk)
            offset = chunk.offset + len(chunk.data)
        peer.say(wire.Chunk(checkpoint_id, offset, b""))
        peer.held.add(checkpoint_id)

    def _note_saved(self, job_id: str, peer: Peer, checkpoint: Checkpoint | None) -> None:
        """Note where something of a job may lie, so that it can go with the job."""
        saved = self._saved.setdefault(job_id, Saved())
        saved.nodes.add(peer.node_id)
        if checkpoint is not None:
            saved.lineages.add(lineage_in(checkpoint.id))

    def _discard(self, job_id: str) -> None:
        """Remove what a job saved, here and on its nodes: it is over."""
        saved = self._saved.pop(job_id, None)
        if saved is None:
            return
        for node_id in saved.nodes:
            if (peer := self._peers.by_node.get(node_id)) is not None:
                peer.held = {kept for kept in peer.held if lineage_in(kept) not in saved.lineages}
                peer.say(wire.Forget(job_id))
        for lineage in saved.lineages:
            self._store.discard(lineage)

    # -- what agents say ---------------------------------------------------------------------------------------------

    def heard(self, peer: Peer, message: wire.ToEngine) -> Iterator[Event]:
        """Tell on what an agent says of its attempts; of those that are over for us nothing counts any more."""
        if isinstance(message, wire.Over):
            if (live := self._live_of(peer, message.attempt_id, message.epoch)) is not None:
                yield self._over(live, message)
        elif isinstance(message, wire.Begun):
            if (live := self._live_of(peer, message.attempt_id, message.epoch)) is not None:
                yield self._begun(live, message)
        elif isinstance(message, wire.Chunk):
            try:
                self._receiver.take(message)
            except (OSError, DnamlError) as error:
                _log.warning("checkpoint %s cannot be kept: %s", message.checkpoint_id, error)
        elif isinstance(message, wire.Kept):
            if (live := self._live_of(peer, message.event.attempt_id, message.event.epoch)) is not None:
                yield from self._kept(live, message.event)
        elif isinstance(message, wire.Progressed) and self._live_of(
            peer, message.event.attempt_id, message.event.epoch
        ):
            yield replace(message.event, at_s=self._now_s())

    def _live_of(self, peer: Peer, attempt_id: str, epoch: int) -> Live | None:
        """Return the attempt that an agent speaks of; None, and counted, if it is over for us."""
        live = self.live.get(attempt_id)
        if live is not None and live.peer is peer and live.attempt.epoch == epoch:
            return live
        self.refused += 1
        return None

    def _begun(self, live: Live, message: wire.Begun) -> ev.AttemptStarted:
        attempt = live.attempt
        live.pid = message.pid
        live.log = f"{live.peer.node_id[:8]}-{message.log}" if message.log else ""
        return ev.AttemptStarted(
            at_s=self._now_s(),
            attempt_id=attempt.id,
            epoch=attempt.epoch,
            job_id=attempt.job_id,
            placement=attempt.placement,
            pid=message.pid or None,
            log=live.log or None,
            log_start=message.log_start,
        )

    def _over(self, live: Live, message: wire.Over) -> AttemptEnded:
        del self.live[message.attempt_id]
        stored = self._listener.store(message.outcome, message.digest) if message.outcome else None
        if message.output and message.log is not None and live.log:
            self._write_log(live.log, message.log[0], message.output)
        return AttemptEnded(
            at_s=self._now_s(),
            attempt_id=message.attempt_id,
            epoch=message.epoch,
            outcome=message.state,
            usage=message.usage,
            error=message.error,
            result=stored,
            log=message.log,
            began=message.began,
            cause=message.cause,
        )

    def _write_log(self, name: str, start: int, text: bytes) -> None:
        """Write an attempt's output where it lies in its worker's log, so that it is found as a local one is."""
        try:
            with (self._logs / Path(name).name).open("ab") as file:
                file.truncate(max(start, file.tell()))
            with (self._logs / Path(name).name).open("r+b") as file:
                file.seek(start)
                file.write(text)
        except OSError as error:
            _log.warning("log %s cannot be kept: %s", name, error)

    def _kept(self, live: Live, event: ev.CheckpointSealed) -> Iterator[Event]:
        checkpoint = event.checkpoint
        if self._carries:
            try:
                self._receiver.finish(checkpoint.id)
            except (OSError, DnamlError) as error:
                _log.warning("checkpoint %s cannot be kept: %s", checkpoint.id, error)
                return
            live.peer.held.add(checkpoint.id)
        self._note_saved(live.attempt.job_id, live.peer, checkpoint)
        at_s = self._now_s()
        yield replace(event, at_s=at_s, checkpoint=replace(checkpoint, taken_at_s=at_s))

    # -- loss --------------------------------------------------------------------------------------------------------

    def lose(self, peer: Peer, *, silent: bool, reason: str) -> Iterator[Event]:
        """Part from a node: it takes no more work, and what it ran is lost, whatever it says later."""
        self._peers.remove(peer)
        cause = Cause.SILENT if silent else Cause.DIED
        for resource_id in peer.resources:
            if peer.is_up:
                yield ev.ResourceDown(at_s=self._now_s(), resource_id=resource_id, reason=reason)
        for live in [live for live in self.live.values() if live.peer is peer]:
            yield from self._lost(live, f"{live.attempt.placement.resource_id}: {reason}", cause)

    def withdraw(self, resource_id: str, reason: str) -> Iterator[Event]:
        """End what runs on a resource that its owner took away."""
        for live in [live for live in self.live.values() if live.attempt.placement.resource_id == resource_id]:
            live.peer.say(wire.Stop(live.attempt.id, live.attempt.epoch, reason))
            live.peer.flush()
            yield from self._lost(live, f"{resource_id}: {reason}", Cause.INTERRUPTED)

    def _lost(self, live: Live, reason: str, cause: Cause) -> Iterator[Event]:
        attempt = live.attempt
        del self.live[attempt.id]
        if not live.begun:
            yield started(self._now_s(), attempt, None)
        end = ended(self._now_s(), attempt.id, attempt.epoch, AttemptState.LOST, reason, began=live.begun)
        yield replace(end, cause=cause)
