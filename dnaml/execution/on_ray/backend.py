"""The back end on Ray: attempts run on nodes exactly where they were sent, under leases of our own.

One thread runs the loop and owns everything here; `post` alone may be called from others. Ray starts and pins the
agents and knows the nodes; whether a node lives is decided here, by its heartbeats, since a frozen node raises no error
in Ray.
"""

import logging
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from math import inf
from pathlib import Path

from dnaml.core import events as ev
from dnaml.core.attempt import Sample
from dnaml.core.errors import InputError, StateFolderError
from dnaml.core.events import Command, Event, ResourceDown, ResourceUp, Settled, Tick
from dnaml.core.resource import Resource
from dnaml.datasets.samples import SampleStore
from dnaml.execution.descriptors import raise_limit
from dnaml.execution.inbox import Inbox
from dnaml.execution.local import Listener, NowS
from dnaml.execution.on_ray import gateway, wire
from dnaml.execution.on_ray.cluster import Cluster
from dnaml.execution.on_ray.link import Link
from dnaml.execution.on_ray.nodes import described
from dnaml.execution.on_ray.peers import Peer, Peers
from dnaml.execution.on_ray.work import LiveWork

_LOOK_EVERY_S = 0.25
_MOST_PAUSE_S = 10.0
_log = logging.getLogger(__name__)


class RayBackend:
    """Runs attempts on the nodes of a Ray cluster and turns what happens to them into events.

    Opening waits until the agents of the nodes that are there have called; raises InputError when none could be
    taken on, saying why of each. `samples` is the store that gets the nodes' telemetry.
    """

    def __init__(
        self,
        checkpoints: Path,
        logs: Path,
        listener: Listener,
        now_s: NowS,
        cluster: Cluster,
        samples: Path | None = None,
    ) -> None:
        self.cluster, self._samples = cluster, samples
        self._settings = cluster.settings
        self._listener, self._now_s = listener, now_s
        self._peers = Peers(cluster.token, cluster.settings)
        self._work = LiveWork(checkpoints, logs, listener, now_s, self._peers, carries=not cluster.settings.checkpoints)
        self._outbox: list[Command] = []
        self._alive: dict[str, str] | None = None
        self._failed: dict[str, str] = {}
        self._leaving: dict[str, float] = {}
        self._withdrawn: set[str] = set()
        self._respawn_s: float | None = None
        self._pause_s, self._wake_s = 1.0, inf
        self._selector = selectors.DefaultSelector()
        self._inbox = Inbox(self._selector)
        self._links: set[Link] = set()
        self._closing = threading.Event()
        self._door_is_open = False
        raise_limit()
        self._open_door()
        self._watch_gateway()
        list(self._told(cluster.nodes))
        self._gather()

    # -- the stream --------------------------------------------------------------------------------------------------

    def post(self, *events: Event) -> None:
        """Add events to the stream, all at one moment; from any thread."""
        self._inbox.post(*events)

    def close(self) -> None:
        """End the stream at the next moment; what runs is killed with its agents."""
        self._closing.set()
        self._inbox.ring()

    def do(self, command: Command) -> None:
        """Note a command; it is carried out once the events that caused it are in the journal."""
        self._outbox.append(command)

    def pids(self) -> dict[str, tuple[str, int]]:
        """Return for each running attempt its resource and its process id on that node; a snapshot, from any thread."""
        return self._work.pids()

    def events(self) -> Iterator[Event]:
        """Yield events until `close`; blocks while nothing happens."""
        tick_every_s = self._settings.local.tick_every_s
        next_tick_s, next_look_s, unsettled = time.monotonic() + tick_every_s, 0.0, False
        try:
            while not self._closing.is_set():
                for event in self._moment(0.0 if unsettled else min(next_tick_s, next_look_s, self._wake_s)):
                    unsettled = True
                    yield event
                now_s = time.monotonic()
                if now_s >= next_look_s:
                    next_look_s = now_s + _LOOK_EVERY_S
                    for event in self._look():
                        unsettled = True
                        yield event
                if now_s >= min(next_tick_s, self._wake_s):
                    asked = now_s >= self._wake_s
                    next_tick_s, self._wake_s = now_s + tick_every_s, inf if asked else self._wake_s
                    self._listener.look_around()
                    if self._work.live or unsettled or asked:
                        unsettled = True
                        yield Tick(at_s=self._now_s())
                if unsettled:
                    yield Settled(at_s=self._now_s())
                    unsettled = False
                    for event in self._carry_out():
                        unsettled = unsettled or isinstance(event, ev.AttemptEnded)
                        yield event
        finally:
            self._shut_down()

    def _carry_out(self) -> Iterator[Event]:
        while self._outbox:
            commands, self._outbox = self._outbox, []
            for command in commands:
                if isinstance(command, ev.WakeAt):
                    self._wake_s = min(self._wake_s, time.monotonic() + max(0.0, command.at_s - self._now_s()))
                yield from self._work.carry_out(command)
        self._peers.flush()

    def _moment(self, until_s: float) -> Iterator[Event]:
        """Wait for something to happen, then yield all of it."""
        for key, what in self._inbox.wait(until_s):
            if key.data == "door":
                self._let_in()
            elif key.data == "gateway":
                yield from self._from_gateway()
            else:
                yield from self._from_link(key.data, what)
        for event in self._inbox.take():
            yield from self._posted(event)

    def _posted(self, event: Event) -> Iterator[Event]:
        """Pass an event on; descriptions of resources count for nodes that are up, and are kept for the others."""
        if isinstance(event, ResourceUp):
            self._work.offered[event.resource.id] = event.resource
            self._withdrawn.discard(event.resource.id)
            peer = self._peers.by_resource.get(event.resource.id)
            if peer is None or not peer.is_up:
                return
            event = replace(event, resource=_offer(peer, event.resource))
        elif isinstance(event, ResourceDown):
            self._work.offered.pop(event.resource_id, None)
            self._withdrawn.add(event.resource_id)
            yield event
            yield from self._work.withdraw(event.resource_id, event.reason)
            return
        elif isinstance(event, ev.ResourceRefreshed):
            peer = self._peers.by_resource.get(event.state.resource_id)
            vital = peer.vitals.get(event.state.resource_id) if peer is not None else None
            if vital is not None:
                state = replace(vital, at_s=event.state.at_s, error_rate=event.state.error_rate)
                event = replace(event, state=state)
        yield event

    # -- agents ------------------------------------------------------------------------------------------------------

    def _open_door(self) -> None:
        assert self.cluster.door is not None
        if not self._door_is_open:
            self.cluster.door.setblocking(False)
            self._selector.register(self.cluster.door, selectors.EVENT_READ, "door")
            self._door_is_open = True

    def _let_in(self) -> None:
        """Take every connection that waits; when no file can be opened any more, those left wait for the next look."""
        assert self.cluster.door is not None
        try:
            while True:
                line: socket.socket = self.cluster.door.accept()[0]
                self._links.add(Link(line, self._selector))
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:
            _log.warning("agents that call have to wait: %s", error)
            self._selector.unregister(self.cluster.door)
            self._door_is_open = False

    def _from_link(self, link: Link, what: int) -> Iterator[Event]:
        if what & selectors.EVENT_WRITE:
            link.flush()
        if not what & selectors.EVENT_READ:
            return
        try:
            for message in link.read():
                if isinstance(message, wire.Hello):
                    yield from self._greeted(link, message)
                elif (peer := self._peers.by_node.get(link.node_id)) is not None and peer.link is link:
                    yield from self._heard(peer, message)
        except EOFError:
            self._hang_up(link)

    def _hang_up(self, link: Link) -> None:
        link.close()
        self._links.discard(link)
        peer = self._peers.by_node.get(link.node_id)
        if peer is not None and peer.link is link:
            peer.link, peer.away_since_s = None, time.monotonic()

    def _greeted(self, link: Link, hello: wire.Hello) -> Iterator[Event]:
        new, old = self._peers.greeted(link, hello)
        if old is not None:
            yield from self._work.lose(old, silent=False, reason="its agent started anew")
        if new is not None:
            self._peers.add(new)

    def _heard(self, peer: Peer, message: wire.ToEngine) -> Iterator[Event]:
        if isinstance(message, wire.Described):
            peer.probed = True
            for resource in message.resources:
                before = peer.resources.get(resource.id)
                if before is not None:
                    peer.resources[resource.id] = replace(resource, latency_s=before.latency_s)
            if peer.is_up:
                yield from self._announce(peer)
        elif isinstance(message, wire.Vitals):
            for state in message.states:
                first = state.resource_id not in peer.vitals
                peer.vitals[state.resource_id] = state
                if first and peer.is_up:
                    yield ev.ResourceRefreshed(at_s=self._now_s(), state=replace(state, at_s=self._now_s()))
            self._keep_samples(message.samples)
        else:
            yield from self._work.heard(peer, message)

    def _keep_samples(self, samples: list[tuple[str, str, float, dict[str, float]]]) -> None:
        """Store telemetry rows, by the engine's clock: nodes' own clocks may differ. A full disk costs these rows."""
        if self._samples is None or not samples:
            return
        now_s = self._now_s()
        rows = (
            Sample(resource_id=node, attempt_id=of or None, at_s=now_s - age_s, metrics=values)
            for node, of, age_s, values in samples
        )
        try:
            with SampleStore(self._samples) as store:
                store.extend(rows)
        except StateFolderError as error:
            _log.warning("telemetry of nodes is not kept: %s", error)

    def _look(self) -> Iterator[Event]:
        """Take on who is ready, part from who is dead, beat, and see to the gateway."""
        now_s = time.monotonic()
        self._open_door()
        for peer, silent, reason in self._peers.dead(self._alive):
            expected = self._withdrawn.issuperset(peer.resources)
            _log.log(logging.INFO if expected else logging.WARNING, "%s: %s", ", ".join(peer.resources), reason)
            yield from self._work.lose(peer, silent=silent, reason=reason)
        for peer in self._peers.by_node.values():
            patient = not peer.probed and now_s - peer.joined_s < self._settings.probe_patience_s
            if not peer.is_up and not patient:
                yield from self._announce(peer)
        for link in [link for link in self._links if not link.node_id]:
            if now_s - link.opened_s > self._settings.timing.dead_after_s:
                self._hang_up(link)
        self._peers.beat_if_due(now_s)
        if self._respawn_s is not None and now_s >= self._respawn_s:
            self._respawn_s = None
            self.cluster.respawn()
            self._watch_gateway()

    def _announce(self, peer: Peer) -> Iterator[Event]:
        """Say that a node takes work, as its user described it or else as it describes itself."""
        peer.is_up = True
        for resource_id, resource in peer.resources.items():
            stated = self._work.offered.get(resource_id)
            yield ResourceUp(at_s=self._now_s(), resource=resource if stated is None else _offer(peer, stated))

    # -- the gateway -------------------------------------------------------------------------------------------------

    def _watch_gateway(self) -> None:
        assert self.cluster.line is not None
        self.cluster.line.setblocking(False)
        self._selector.register(self.cluster.line, selectors.EVENT_READ, "gateway")

    def _from_gateway(self) -> Iterator[Event]:
        try:
            for message in self.cluster.read():
                yield from self._told(message)
        except EOFError:
            _log.warning("the process that speaks to Ray ended; it is started again in %g s", self._pause_s)
            self._part_with_gateway()

    def _part_with_gateway(self) -> None:
        assert self.cluster.line is not None
        self._selector.unregister(self.cluster.line)
        self.cluster.kill()
        self._alive = None
        self._respawn_s = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _MOST_PAUSE_S)

    def _told(self, message: gateway.FromGateway) -> Iterator[Event]:
        if isinstance(message, gateway.Nodes):
            self._alive, self._failed, self._pause_s = message.alive, message.failed, 1.0
            for node_id, gone_at_s in message.leaving.items():
                if node_id not in self._leaving and node_id in self._peers.by_node:
                    yield from self._drain(self._peers.by_node[node_id], gone_at_s)
            self._leaving = message.leaving
        elif isinstance(message, gateway.Joined):
            self.cluster.attach(message)
        elif isinstance(message, gateway.ControlLost):
            self._alive = None  # what it said last says nothing about now
            _log.warning("%s; agents go on without it", message.reason)
            if self.cluster.own:
                self._part_with_gateway()
        elif isinstance(message, gateway.Refused):
            _log.warning("%s", message.reason)

    def _drain(self, peer: Peer, gone_at_s: float) -> Iterator[Event]:
        """Say that Ray takes a node away: what runs on it moves while there is time."""
        left_s = max(0.0, gone_at_s - time.time()) if gone_at_s > 0 else 0.0
        now_s = self._now_s()
        for resource_id in peer.resources:
            yield ev.InterruptionNotice(
                at_s=now_s, resource_id=resource_id, gone_at_s=now_s + left_s, reason="Ray drains its node"
            )

    def _gather(self) -> None:
        """Wait until every node that is there has an agent, or a reason why not; for the first one longer."""
        began_s, settings = time.monotonic(), self._settings
        while True:
            waits_for_first = bool(self._alive) and not self._peers.by_node
            until_s = began_s + (
                max(settings.ready_s, settings.first_within_s) if waits_for_first else settings.ready_s
            )
            if time.monotonic() >= until_s:
                break
            for _ in self._moment(min(until_s, time.monotonic() + _LOOK_EVERY_S)):
                pass  # nothing runs yet, and who is there is announced when the stream begins
            self._peers.beat_if_due(time.monotonic())
            missing = [node for node in self._alive or () if node not in self._peers.by_node]
            if (self._alive or (self._alive == {} and self._settings.may_be_empty)) and all(
                self._why_not(node) for node in missing
            ):
                break
        if not self._peers.by_node and not self._settings.may_be_empty:
            reasons = "; ".join(self._why_not(node) or f"{name}: no word of it" for node, name in self._nodes())
            self._shut_down()
            raise InputError(f"Ray at {self.cluster.address}: no node could be taken on: {reasons or 'it has none'}")

    def _nodes(self) -> list[tuple[str, str]]:
        return list((self._alive or {}).items())

    def _why_not(self, node_id: str) -> str:
        """Return why a node has no agent, if that is known."""
        return self._peers.refused.get(node_id) or self._failed.get(node_id, "")

    def _shut_down(self) -> None:
        """Part from everybody: agents that lose their engine kill what they run."""
        for link in self._links:
            link.close()
        self._selector.close()
        self._inbox.close()
        if not self.cluster.shared:
            self.cluster.close()


def _offer(peer: Peer, stated: Resource) -> Resource:
    """Tell a node what its user states of it, and return what the two make of it."""
    resource = described(stated, peer.resources[stated.id])
    peer.say(wire.Offer(resource))
    peer.flush()
    return resource
