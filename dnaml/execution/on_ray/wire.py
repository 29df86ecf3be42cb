"""What the engine and an agent say to each other, and how a conversation goes on after its connection broke.

Frames carry a number and what was received so far; what was not confirmed is kept and said again on the next
connection, and what comes twice is dropped. Both sides prove that they know the token before anything else is read.
What is small and said at one moment travels in one frame.
"""

import hashlib
import hmac
import struct
from collections import deque
from collections.abc import Sequence

import msgspec

from dnaml.core.attempt import AttemptState, Cause, Checkpoint, Placement, Usage
from dnaml.core.events import AttemptProgressed, CheckpointSealed
from dnaml.core.resource import Resource, ResourceState
from dnaml.execution.local import LocalSettings
from dnaml.execution.messages import framed

PROTOCOL = 3
CHUNK_BYTES = 1 << 18
_HEAD = struct.Struct("<QQ")
_SMALL_BYTES = 1 << 16


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How long either side waits: a beat each `beat_every_s`; silence of `dead_after_s` is death."""

    beat_every_s: float = 1.0
    dead_after_s: float = 5.0
    resume_within_s: float = 1.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is started with: its node as Ray describes it, whom to call, and how to work."""

    node_id: str
    resource_id: str
    hostname: str
    labels: dict[str, str]
    amounts: dict[str, float]
    host: str
    port: int
    token: bytes
    paths: tuple[str, ...]
    local: LocalSettings
    timing: Timing = Timing()
    probe: bool = True
    refresh_every_s: float = 60.0
    checkpoints: str | None = None
    """a folder that every node and the engine share; None carries checkpoints as bytes"""


class Challenge(msgspec.Struct, array_like=True, tag="challenge"):
    """Engine to agent: prove that you know the token."""

    protocol: int
    nonce: bytes


class Hello(msgspec.Struct, array_like=True, tag="hello"):
    """Agent to engine: who I am, and what I received in this session so far; `used` when it was given work."""

    protocol: int
    proof: bytes
    nonce: bytes
    node_id: str
    session: str
    received: int
    python: str
    dnaml: str
    resources: list[Resource]
    probed: bool
    used: bool


class Welcome(msgspec.Struct, array_like=True, tag="welcome"):
    """Engine to agent: taken on; without `resumed` everything from before is to be dropped."""

    proof: bytes
    resumed: bool
    received: int


class Refused(msgspec.Struct, array_like=True, tag="refused"):
    """Engine to agent: not taken on, and why."""

    reason: str


class Start(msgspec.Struct, array_like=True, tag="start"):
    """Engine to agent: run an attempt; `payload` is an encoded Payload."""

    attempt_id: str
    epoch: int
    computation_id: str
    placement: Placement
    payload: bytes
    checkpoint: Checkpoint | None
    kill_after_s: float | None
    checkpointable: bool


class Stop(msgspec.Struct, array_like=True, tag="stop"):
    """Engine to agent: end an attempt."""

    attempt_id: str
    epoch: int
    reason: str


class Seal(msgspec.Struct, array_like=True, tag="seal"):
    """Engine to agent: write a checkpoint at the next save."""

    attempt_id: str
    epoch: int


class Forget(msgspec.Struct, array_like=True, tag="forget"):
    """Engine to agent: a job is over; its checkpoints can go."""

    job_id: str


class Offer(msgspec.Struct, array_like=True, tag="offer"):
    """Engine to agent: this is how a resource of yours is described from now on."""

    resource: Resource


class Chunk(msgspec.Struct, array_like=True, tag="chunk"):
    """Either way: a piece of a sealed checkpoint file, in order."""

    checkpoint_id: str
    offset: int
    data: bytes


class Begun(msgspec.Struct, array_like=True, tag="begun"):
    """Agent to engine: a worker began; what it writes goes to `log` from byte `log_start` on."""

    attempt_id: str
    epoch: int
    pid: int
    log: str
    log_start: int


class Progressed(msgspec.Struct, array_like=True, tag="progressed"):
    """Agent to engine: how far an attempt is."""

    event: AttemptProgressed


class Kept(msgspec.Struct, array_like=True, tag="kept"):
    """Agent to engine: a checkpoint is complete here; its chunks, if it is carried, came before."""

    event: CheckpointSealed


class Over(msgspec.Struct, array_like=True, tag="over"):
    """Agent to engine: an attempt ended, as AttemptEnded has it; its outcome is unread, `output` is what it wrote."""

    attempt_id: str
    epoch: int
    state: AttemptState
    usage: Usage
    error: str | None
    log: tuple[int, int] | None
    began: bool
    cause: Cause | None
    digest: str
    outcome: bytes
    output: bytes


class Described(msgspec.Struct, array_like=True, tag="described"):
    """Agent to engine: what the probes of this node found."""

    resources: list[Resource]


class Vitals(msgspec.Struct, array_like=True, tag="vitals"):
    """Agent to engine: what changes about this node, and rows: (resource, attempt or "", age in seconds, metrics)."""

    states: list[ResourceState]
    samples: list[tuple[str, str, float, dict[str, float]]]


class Beat(msgspec.Struct, array_like=True, tag="beat"):
    """Either way: still here."""


ToAgent = Challenge | Welcome | Refused | Start | Stop | Seal | Forget | Offer | Chunk | Beat
ToEngine = Hello | Begun | Progressed | Kept | Over | Described | Vitals | Chunk | Beat


class Orders(msgspec.Struct, array_like=True, tag="orders"):
    """Engine to agent: several at once, in order."""

    messages: list[ToAgent]


class News(msgspec.Struct, array_like=True, tag="news"):
    """Agent to engine: several at once, in order."""

    messages: list[ToEngine]


_encode = msgspec.msgpack.Encoder().encode
_to_agent: msgspec.msgpack.Decoder[ToAgent | Orders] = msgspec.msgpack.Decoder(ToAgent | Orders)
_to_engine: msgspec.msgpack.Decoder[ToEngine | News] = msgspec.msgpack.Decoder(ToEngine | News)


def for_agent(body: bytes | memoryview) -> Sequence[ToAgent]:
    """Return what the engine said, in order; raises msgspec.DecodeError on anything else."""
    message = _to_agent.decode(body)
    return message.messages if isinstance(message, Orders) else (message,)


def for_engine(body: bytes | memoryview) -> Sequence[ToEngine]:
    """Return what an agent said, in order; raises msgspec.DecodeError on anything else."""
    message = _to_engine.decode(body)
    return message.messages if isinstance(message, News) else (message,)


def _is_small(message: msgspec.Struct) -> bool:
    """Say whether a message may wait for others to travel with."""
    if isinstance(message, Start):
        return len(message.payload) < _SMALL_BYTES
    if isinstance(message, Over):
        return len(message.outcome) + len(message.output) < _SMALL_BYTES
    return not isinstance(message, Chunk)


def proof(token: bytes, side: str, nonce: bytes) -> bytes:
    """Return what only a holder of the token can answer to a nonce; `side` keeps an answer from being sent back."""
    return hmac.digest(token, side.encode() + nonce, hashlib.sha256)


class Conversation:
    """The memory of one session: what was said and not yet confirmed, and what was received."""

    def __init__(self) -> None:
        self.received = 0
        self._said = 0
        self._unconfirmed: deque[tuple[int, bytes]] = deque()

    def say(self, message: msgspec.Struct) -> bytes:
        """Return the frame of a message, which is kept until the other side has it."""
        self._said += 1
        body = _encode(message)
        self._unconfirmed.append((self._said, body))
        return framed(_HEAD.pack(self._said, self.received) + body)

    def say_all(self, messages: Sequence[msgspec.Struct], group: type[Orders] | type[News]) -> bytes:
        """Return the frames of messages in order; those that are small share one."""
        frames, together = list[bytes](), list[msgspec.Struct]()
        for message in messages:
            if _is_small(message):
                together.append(message)
            else:
                frames += [self._say_together(together, group), self.say(message)]
                together = []
        frames.append(self._say_together(together, group))
        return b"".join(frames)

    def _say_together(self, messages: list[msgspec.Struct], group: type[Orders] | type[News]) -> bytes:
        if len(messages) > 1:
            return self.say(group(messages))  # type: ignore[arg-type]  # of the kind that this side says
        return self.say(messages[0]) if messages else b""

    def aside(self, message: msgspec.Struct) -> bytes:
        """Return the frame of a message that is not missed when it is lost: beats and greetings."""
        return framed(_HEAD.pack(0, self.received) + _encode(message))

    def hear(self, frame: bytes) -> memoryview | None:
        """Return the body of a frame; None when it was heard before."""
        number, confirmed = _HEAD.unpack_from(frame)
        self.confirm(confirmed)
        if number:
            if number <= self.received:
                return None
            self.received = number
        return memoryview(frame)[_HEAD.size :]

    def confirm(self, received: int) -> None:
        """Forget what the other side has."""
        while self._unconfirmed and self._unconfirmed[0][0] <= received:
            self._unconfirmed.popleft()

    def again(self, received: int) -> bytes:
        """Return everything that the other side has not received, as frames in order."""
        self.confirm(received)
        return b"".join(framed(_HEAD.pack(number, self.received) + body) for number, body in self._unconfirmed)
