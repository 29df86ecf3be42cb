"""What the engine and a worker process say to each other, and how it is framed on a socket.

A frame is a length and a msgpack body. The engine moves payloads and outcomes as bytes; only the worker that runs the
user's code, and the user's own process, ever unpickle them.
"""

import struct
from collections.abc import Iterator

import msgspec

_LENGTH = struct.Struct("<I")
_LONG = 0xFFFFFFFF
_LONG_LENGTH = struct.Struct("<Q")


class Payload(msgspec.Struct, array_like=True):
    """What a job brings, as stored at submission: pickled function and arguments, and the initial state as JSON.

    `submitted` is the Submitted event as JSON, so that an accepted job is never lost between here and the journal;
    `request_digest` tells a repeated request from another one under the same idempotency key.
    """

    submitted: bytes
    function: bytes
    function_digest: str
    arguments: bytes
    initial: bytes
    wants_context: bool
    outputs: tuple[str, ...] = ()
    request_digest: str = ""


class Begin(msgspec.Struct, array_like=True, tag="begin"):
    """Engine to worker: run this. `payload` is an encoded Payload.

    A part runs on the slice [`start`, `start` + `share`) of the first argument. `lineage` owns what it saves.
    """

    attempt_id: str
    epoch: int
    job_id: str
    computation_id: str
    payload: bytes
    checkpoint_id: str | None
    checkpoint_every_s: float | None
    part: int = 0
    parts: int = 1
    start: float = 0.0
    share: float = 1.0
    lineage: str = ""


class Warm(msgspec.Struct, array_like=True, tag="warm"):
    """Engine to worker: work with this function may come; `function` is a pickled callable, to be imported now."""

    function: bytes
    function_digest: str


class Stop(msgspec.Struct, array_like=True, tag="stop"):
    """Engine to worker: end this attempt at its next step."""

    attempt_id: str


class GiveBack(msgspec.Struct, array_like=True, tag="give_back"):
    """Engine to worker: answer for this attempt that it did not begin, if it stands behind another one."""

    attempt_id: str


class Seal(msgspec.Struct, array_like=True, tag="seal"):
    """Engine to worker: write a checkpoint of this attempt at its next `save`, due or not."""

    attempt_id: str


class Expire(msgspec.Struct, array_like=True, tag="expire"):
    """Engine to worker: this attempt used what it was allowed; send SIGTERM to it and to everything it started."""

    attempt_id: str


class Metered(msgspec.Struct, array_like=True):
    """What the worker measured of one attempt; `extra` are telemetry values with units in their names."""

    wall_s: float
    cpu_s: float
    blocked_s: float
    peak_memory_bytes: int
    extra: dict[str, float]


class Ended(msgspec.Struct, array_like=True, tag="ended"):
    """Worker to engine: how the attempt ended. `outcome` is an encoded Outcome that the engine stores unread."""

    attempt_id: str
    epoch: int
    state: str
    outcome: bytes
    digest: str
    metered: Metered
    error: str | None
    log_start: int = 0
    log_end: int = 0
    out_of_memory: bool = False


class Sealed(msgspec.Struct, array_like=True, tag="sealed"):
    """Worker to engine: a checkpoint is complete and durable."""

    attempt_id: str
    epoch: int
    checkpoint_id: str
    progress: float
    size_bytes: int
    write_s: float = 0.0


class Beat(msgspec.Struct, array_like=True, tag="beat"):
    """Worker to engine, on the control socket: still here, running this attempt (none: ""), which is so far."""

    attempt_id: str = ""
    epoch: int = 0
    progress: float = 0.0
    used_s: float = 0.0


class Outcome(msgspec.Struct, array_like=True):
    """What comes back to the user: the pickled result or exception, its traceback, and the terminal state as JSON."""

    result: bytes
    exception: bytes
    traceback: str
    terminal: bytes


FromWorker = Ended | Sealed | Beat
FromEngine = Begin | Warm | Stop | GiveBack | Seal | Expire

_encode = msgspec.msgpack.Encoder().encode
_from_worker = msgspec.msgpack.Decoder(FromWorker)
_from_engine: msgspec.msgpack.Decoder[FromEngine] = msgspec.msgpack.Decoder(FromEngine)
_payload = msgspec.msgpack.Decoder(Payload)
_outcome = msgspec.msgpack.Decoder(Outcome)


def encode(message: msgspec.Struct) -> bytes:
    """Return a message as bytes."""
    return _encode(message)


def decode_payload(body: bytes) -> Payload:
    """Return the payload that bytes stand for."""
    return _payload.decode(body)


def decode_outcome(body: bytes) -> Outcome:
    """Return the outcome that bytes stand for."""
    return _outcome.decode(body)


def decode_from_worker(body: bytes) -> FromWorker:
    """Return what a worker said; raises msgspec.DecodeError on anything else."""
    message: FromWorker = _from_worker.decode(body)
    return message


def decode_from_engine(body: bytes) -> FromEngine:
    """Return what the engine said."""
    message: FromEngine = _from_engine.decode(body)
    return message


def framed(body: bytes) -> bytes:
    """Return a body with its length before it."""
    if len(body) < _LONG:
        return _LENGTH.pack(len(body)) + body
    return _LENGTH.pack(_LONG) + _LONG_LENGTH.pack(len(body)) + body


class FrameReader:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take in bytes and yield every frame that is whole now."""
        buffer = self._buffer
        buffer += data
        while True:
            frame = self._cut(buffer)
            if frame is None:
                return
            yield frame

    @staticmethod
    def _cut(buffer: bytearray) -> bytes | None:
        start = _LENGTH.size
        if len(buffer) < start:
            return None
        (length,) = _LENGTH.unpack_from(buffer)
        if length == _LONG:
            start += _LONG_LENGTH.size
            if len(buffer) < start:
                return None
            (length,) = _LONG_LENGTH.unpack_from(buffer, _LENGTH.size)
        if len(buffer) < start + length:
            return None
        frame = bytes(memoryview(buffer)[start : start + length])
        del buffer[: start + length]
        return frame
