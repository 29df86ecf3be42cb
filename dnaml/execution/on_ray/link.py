"""The engine's end of one agent's connection: frames in and out without ever blocking, and when it was last heard."""

import secrets
import selectors
import socket
import time
from collections.abc import Iterator

import msgspec

from dnaml.execution.messages import FrameReader
from dnaml.execution.on_ray import wire

_READ_BYTES = 1 << 20


class Link:
    """One connection. Until `node_id` is set its peer has proved nothing."""

    def __init__(self, line: socket.socket, selector: selectors.BaseSelector) -> None:
        line.setblocking(False)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._line, self._selector = line, selector
        self._reader = FrameReader()
        self._unsent = bytearray()
        self._writing = False
        self.conversation = wire.Conversation()
        self.node_id = ""
        self.nonce = secrets.token_bytes(32)
        self.opened_s = self.heard_s = time.monotonic()
        selector.register(line, selectors.EVENT_READ, self)
        self.send(self.conversation.aside(wire.Challenge(wire.PROTOCOL, self.nonce)))
        self.flush()

    def send(self, frames: bytes) -> None:
        """Add frames to what leaves at the next `flush`."""
        self._unsent += frames

    def flush(self) -> None:
        """Send what the connection takes now; the rest follows when it takes more."""
        if self._unsent and not self.is_closed:
            try:
                sent = self._line.send(self._unsent)
            except BlockingIOError:
                sent = 0
            except OSError:
                sent = len(self._unsent)  # it is gone, which reading will show
            del self._unsent[:sent]
        if bool(self._unsent) != self._writing and not self.is_closed:
            self._writing = bool(self._unsent)
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._writing else 0)
            self._selector.modify(self._line, events, self)

    def read(self) -> Iterator[wire.ToEngine]:
        """Yield what the agent said since; raises EOFError when it hung up or speaks another language."""
        if self.is_closed:
            return
        try:
            data = self._line.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            raise EOFError
        self.heard_s = time.monotonic()
        try:
            for frame in self._reader.feed(data):
                body = self.conversation.hear(frame)
                if body is not None:
                    yield from wire.for_engine(body)
        except (msgspec.DecodeError, msgspec.ValidationError, ValueError) as error:
            raise EOFError from error

    @property
    def is_closed(self) -> bool:
        """Say whether the connection was given up."""
        return self._line.fileno() < 0

    def close(self) -> None:
        """Hang up."""
        if not self.is_closed:
            self._selector.unregister(self._line)
            self._line.close()
