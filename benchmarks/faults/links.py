"""A TCP link that can be cut in one direction or both, slowed, and reset: a proxy between a real client and server.

What is sent into a cut is held back, ends of connections too, and arrives once the link is whole again: so it is for
a peer behind a network that drops packets. Nothing here knows what is said.
"""

import contextlib
import random
import socket
import struct
import threading
import time
from enum import Enum

_CHUNK_BYTES = 1 << 14
_RESET = struct.pack("ii", 1, 0)  # linger for no time: closing sends RST


class Way(Enum):
    """Says in which direction bytes go."""

    UP = "up"  # from who called
    DOWN = "down"  # to who called


class FaultyLink:
    """Listens on `port` of this machine and forwards to a server; `resets` counts connections that were reset."""

    def __init__(
        self, target: tuple[str, int], *, bytes_per_s: float = 0.0, reset_share: float = 0.0, seed: int = 0
    ) -> None:
        self._target, self._bytes_per_s, self._reset_share = target, bytes_per_s, reset_share
        self._random = random.Random(seed)
        self._open = {way: threading.Event() for way in Way}
        self.heal()
        self.resets = 0
        self._lines: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, *ways: Way) -> None:
        """Hold back what goes in these directions (none named: both)."""
        for way in ways or Way:
            self._open[way].clear()

    def heal(self) -> None:
        """Let everything through, what was held back first."""
        for way in Way:
            self._open[way].set()

    def close(self) -> None:
        """End every connection."""
        for line in (self._server, *self._lines):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
        self.heal()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self._server.accept()[0]
                try:
                    far = socket.create_connection(self._target)
                except OSError:
                    near.close()
                    continue
                self._lines += [near, far]
                for source, sink, way in ((near, far, Way.UP), (far, near, Way.DOWN)):
                    threading.Thread(target=self._pump, args=(source, sink, way), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, way: Way) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                self._open[way].wait()
                if self._bytes_per_s:
                    time.sleep(len(data) / self._bytes_per_s)
                if self._random.random() < self._reset_share:
                    self._reset(source, sink)
                    return
                sink.sendall(data)
        self._open[way].wait()
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _reset(self, *lines: socket.socket) -> None:
        self.resets += 1
        for line in lines:
            with contextlib.suppress(OSError):
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                line.shutdown(socket.SHUT_RD)  # the other thread's recv ends
            line.close()
