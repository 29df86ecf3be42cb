"""The nodes as the engine knows them: who greeted, who is away for a moment, who is taken on and who is not."""

import hmac
import logging
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from dnaml.core.resource import Resource, ResourceState
from dnaml.execution.on_ray import wire
from dnaml.execution.on_ray.link import Link
from dnaml.execution.on_ray.settings import RaySettings
from dnaml.execution.release import release

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Peer:
    """One node's agent in one session; `link` is None while its connection is broken."""

    node_id: str
    session: str
    link: Link | None
    conversation: wire.Conversation
    resources: dict[str, Resource]
    probed: bool
    joined_s: float
    away_since_s: float = 0.0
    is_up: bool = False
    unsaid: list[wire.ToAgent] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    vitals: dict[str, ResourceState] = field(default_factory=dict)

    def say(self, *messages: wire.ToAgent) -> None:
        """Tell the agent something at the next `flush`."""
        self.unsaid += messages

    def flush(self) -> None:
        """Let what was said leave; while the agent is away it is kept for its return."""
        if self.unsaid:
            frames, self.unsaid = self.conversation.say_all(self.unsaid, wire.Orders), []
            if self.link is not None:
                self.link.send(frames)
        if self.link is not None:
            self.link.flush()


class Peers:
    """All nodes by their Ray id and by what they offer; `refused` says why others were not taken on."""

    def __init__(self, token: bytes, settings: RaySettings) -> None:
        self._token, self._settings = token, settings
        self.by_node: dict[str, Peer] = {}
        self.by_resource: dict[str, Peer] = {}
        self.refused: dict[str, str] = {}
        self._beat_s = 0.0

    def greeted(self, link: Link, hello: wire.Hello) -> tuple[Peer | None, Peer | None]:
        """Answer a greeting; return the peer that is new, if any, and one that it replaces, whose work is lost."""
        if not hmac.compare_digest(hello.proof, wire.proof(self._token, "agent", link.nonce)):
            _log.warning("somebody called as node %.40r without knowing the token", hello.node_id)
            link.close()
            return None, None
        reason = _unlike(hello) or self._taken(hello)
        if reason:
            self.refused[hello.node_id] = reason
            link.send(link.conversation.aside(wire.Refused(reason)))
            link.flush()
            link.close()
            return None, None
        link.node_id = hello.node_id
        self.refused.pop(hello.node_id, None)
        old = self.by_node.get(hello.node_id)
        if old is not None and old.session == hello.session:
            self._resume(old, link, hello)
            return None, None
        if hello.used:  # it has work of a session that is over: it drops it and calls again
            self._answer(link, hello)
            return None, None
        return self._take_on(link, hello), old

    def _resume(self, peer: Peer, link: Link, hello: wire.Hello) -> None:
        """Go on with a session on another connection: what either side missed is said again."""
        if peer.link is not None:
            peer.link.close()
        peer.link, peer.away_since_s, link.conversation = link, 0.0, peer.conversation
        answer = wire.Welcome(self._proof(hello), True, peer.conversation.received)
        link.send(peer.conversation.aside(answer) + peer.conversation.again(hello.received))
        link.flush()

    def _take_on(self, link: Link, hello: wire.Hello) -> Peer:
        now_s = time.monotonic()
        latency_s = now_s - link.opened_s
        resources = {each.id: replace(each, latency_s=latency_s) for each in hello.resources}
        peer = Peer(
            node_id=hello.node_id,
            session=hello.session,
            link=link,
            conversation=link.conversation,
            resources=resources,
            probed=hello.probed or not self._settings.probe,
            joined_s=now_s,
        )
        self._answer(link, hello)
        return peer

    def _answer(self, link: Link, hello: wire.Hello) -> None:
        link.send(link.conversation.aside(wire.Welcome(self._proof(hello), False, 0)))
        link.flush()

    def _proof(self, hello: wire.Hello) -> bytes:
        return wire.proof(self._token, "engine", hello.nonce)

    def _taken(self, hello: wire.Hello) -> str:
        """Say whose name another node has already; ids must differ."""
        for resource in hello.resources:
            other = self.by_resource.get(resource.id)
            if other is not None and other.node_id != hello.node_id:
                return f"{resource.id}: ids must differ, Ray node {other.node_id[:8]} has it already"
        return ""

    def add(self, peer: Peer) -> None:
        """Enter a new peer."""
        self.by_node[peer.node_id] = peer
        self.by_resource.update(dict.fromkeys(peer.resources, peer))

    def remove(self, peer: Peer) -> None:
        """Strike a peer off: it is dead, whatever it says later."""
        if peer.link is not None:
            peer.link.close()
            peer.link = None
        if self.by_node.get(peer.node_id) is peer:
            del self.by_node[peer.node_id]
        for resource_id in peer.resources:
            if self.by_resource.get(resource_id) is peer:
                del self.by_resource[resource_id]

    def beat_if_due(self, now_s: float) -> None:
        """Tell every agent, once a beat, that the engine is alive."""
        if now_s < self._beat_s:
            return
        self._beat_s = now_s + self._settings.timing.beat_every_s
        for peer in self.by_node.values():
            if peer.link is not None:
                peer.link.send(peer.conversation.aside(wire.Beat()))
                peer.link.flush()

    def flush(self) -> None:
        """Let everything that was said leave."""
        for peer in self.by_node.values():
            if peer.unsaid:
                peer.flush()

    def dead(self, alive: Mapping[str, str] | None) -> Iterator[tuple[Peer, bool, str]]:
        """Yield who fell silent (True) or stayed away (False), with the words for it; Ray's own list helps if known."""
        now_s, timing = time.monotonic(), self._settings.timing
        for peer in list(self.by_node.values()):
            if peer.link is not None:
                silent_s = now_s - peer.link.heard_s
                if silent_s > timing.dead_after_s:
                    yield peer, True, f"no heartbeat for {silent_s:.1f} s"
            elif now_s - peer.away_since_s > timing.resume_within_s:
                yield peer, False, "its connection closed and did not come back"
            elif alive is not None and peer.node_id not in alive:
                yield peer, False, "Ray says that the node is gone"


def _unlike(hello: wire.Hello) -> str:
    """Say in which version a node differs so that it cannot be used; empty when it does not."""
    ours = platform.python_version()
    if hello.python.split(".")[:2] != ours.split(".")[:2]:
        return f"node {hello.node_id[:8]}: Python must be {'.'.join(ours.split('.')[:2])}, as here, got {hello.python}"
    if hello.dnaml != release():
        return f"node {hello.node_id[:8]}: dnaml must be {release()}, as here, got {hello.dnaml}"
    if hello.protocol != wire.PROTOCOL:
        return f"node {hello.node_id[:8]}: it must speak protocol {wire.PROTOCOL}, got {hello.protocol}"
    return ""
