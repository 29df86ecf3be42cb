"""What a worker process says and hears, the same for every backend: attempts come in, their ends go out, it beats.

The main thread runs one attempt after the other; a second thread beats once a second and hears requests. User code is
only ever unpickled here. The process dies with its engine and leaves no child behind after an attempt.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from dnaml.execution import messages, orphans
from dnaml.execution.crashpoints import CrashPoint, reach
from dnaml.execution.running import Runner

BEAT_EVERY_S = 1.0
_HOLD_S = 0.001
_BRIEF_S = 0.0005
_READ_BYTES = 1 << 16  # a larger buffer is mapped and unmapped by the system each time


class Worker:
    """One worker process; `serve` returns when the engine closed the connection."""

    def __init__(
        self, data: socket.socket, control: socket.socket, checkpoints: Path, token: str, beat_every_s: float
    ) -> None:
        self._data = data
        self._control = control
        self._beat_every_s = beat_every_s
        self._runner = Runner(checkpoints, token, self._send_sealed, self._beat)
        self._waiting: dict[str, messages.Begin] = {}
        self._to_warm: list[messages.Warm] = []
        self._current = ""
        self._turn = threading.Lock()
        self._reading = threading.Lock()
        self._reader = messages.FrameReader()
        self._sending = threading.Lock()
        self._held: list[bytes] = []
        self._held_since_s = 0.0

    def serve(self) -> None:
        """Run attempts until the engine closes the connection."""
        self._runner.listen_to_sigterm()
        self._control.sendall(messages.framed(messages.encode(messages.Beat())))  # it is up: what ends it now is work
        threading.Thread(target=self._listen, name="dnaml-control", daemon=True).start()
        while self._take_in(0):
            while (begin := self._next()) is not None:
                self._hold(self._runner.run(begin))
            self._flush(0.0)
            while self._to_warm:
                self._runner.warm(self._to_warm.pop(0))

    def _take_in(self, flags: int) -> bool:
        """Read what the engine sent on the data socket; False when it is gone. One thread at a time may call this."""
        with self._reading:
            data = self._data.recv(_READ_BYTES, flags)
            for frame in self._reader.feed(data):
                message = messages.decode_from_engine(frame)
                if isinstance(message, messages.Begin):
                    self._waiting[message.attempt_id] = message
                elif isinstance(message, messages.Warm):
                    self._to_warm.append(message)
        return bool(data)

    def _next(self) -> messages.Begin | None:
        """Take the next attempt in line; from here on a stop request is for the attempt itself to notice."""
        with self._turn:
            self._runner.stop.clear()
            self._current = next(iter(self._waiting), "")
            return self._waiting.pop(self._current, None)

    def _hold(self, message: messages.Ended) -> None:
        """Send the end of an attempt; that of a very short one waits a moment, so that several travel together."""
        with self._sending:
            if not self._held:
                self._held_since_s = time.monotonic()
            self._held.append(messages.framed(messages.encode(message)))
        brief = message.metered.wall_s < _BRIEF_S
        self._flush(_HOLD_S if brief else 0.0)

    def _flush(self, older_than_s: float) -> None:
        """Send what is held, if the oldest of it waited that long."""
        with self._sending:
            if self._held and time.monotonic() - self._held_since_s >= older_than_s:
                held, self._held = b"".join(self._held), []
                self._data.sendall(held)
                reach(CrashPoint.RESULT_SENT)

    def _send_sealed(self, sealed: messages.Sealed) -> None:
        with self._sending:
            self._held.append(messages.framed(messages.encode(sealed)))
        self._flush(0.0)

    def _listen(self) -> None:
        """Beat, and hear what is asked of running attempts; ends the process when the engine is gone."""
        self._control.settimeout(self._beat_every_s)
        reader = messages.FrameReader()
        while True:
            try:
                data = self._control.recv(65536)
            except TimeoutError:
                data = None
            except OSError:
                data = b""
            if data == b"":
                os.kill(os.getpid(), signal.SIGKILL)
            for frame in reader.feed(data or b""):
                self._on_control(messages.decode_from_engine(frame))
            self._beat()

    def _beat(self) -> None:
        """Say how far the attempt is: every second, and once it has restored its state, for which a move waits."""
        try:
            self._flush(0.0)
            with self._sending:
                self._control.sendall(messages.framed(messages.encode(self._runner.so_far())))
        except OSError:
            os.kill(os.getpid(), signal.SIGKILL)

    def _on_control(self, message: messages.FromEngine) -> None:
        if isinstance(message, messages.Stop):
            self._stop_one(message.attempt_id)
        elif isinstance(message, messages.GiveBack):
            self._give_back(message.attempt_id, "given back: what ran before it takes longer than foreseen")
        elif isinstance(message, messages.Seal):
            self._runner.seal(message.attempt_id)
        elif isinstance(message, messages.Expire):
            with self._turn:
                if message.attempt_id == self._current:
                    self._runner.expire(message.attempt_id)

    def _stop_one(self, attempt_id: str) -> None:
        """Tell the running attempt to stop, or answer for one that stands behind it."""
        with self._turn:
            if attempt_id == self._current:
                self._runner.stop.set()
        self._give_back(attempt_id, "stopped before it began")

    def _give_back(self, attempt_id: str, why: str) -> None:
        """Answer for an attempt that stands behind the running one."""
        with self._turn:
            if self._current:  # the main thread runs user code, so nobody else reads
                with contextlib.suppress(BlockingIOError):
                    while self._take_in(socket.MSG_DONTWAIT):
                        pass
            begin = self._waiting.pop(attempt_id, None)
        if begin is not None:
            idle = messages.Metered(0.0, 0.0, 0.0, 0, {})
            self._hold(messages.Ended(attempt_id, begin.epoch, "unbegun", b"", "", idle, why))
            self._flush(0.0)


def main() -> None:
    """Serve on the sockets of the command line: data fd, control fd, checkpoint folder, engine's pid, beat seconds."""
    data_fd, control_fd, folder, parent = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    beat_every_s = float(sys.argv[5]) if len(sys.argv) > 5 else BEAT_EVERY_S
    orphans.die_with_parent(parent)
    orphans.become_subreaper()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path[:0] = [entry for entry in os.environ.pop("DNAML_PATH", "").split(os.pathsep) if entry not in sys.path]
    token = os.environ.get("DNAML_WORKER", "")
    with socket.socket(fileno=data_fd) as data, socket.socket(fileno=control_fd) as control:
        for channel in (data, control):
            channel.set_inheritable(False)
        Worker(data, control, Path(folder), token, beat_every_s).serve()
    os._exit(0)


if __name__ == "__main__":
    main()
