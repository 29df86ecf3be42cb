"""What runs inside a worker process, the same for every backend: receive, run, report.

The main thread runs one attempt after the other; a second thread beats once a second and hears stop requests. User
code is only ever unpickled here. The process dies with its engine and leaves no child behind after an attempt.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from dnaml.core.attempt import Checkpoint
from dnaml.core.errors import InputError
from dnaml.execution import messages, orphans, pickling
from dnaml.execution.capture import terminal_state
from dnaml.execution.crashpoints import CrashPoint, reach
from dnaml.execution.metering import Meter

if TYPE_CHECKING:
    from dnaml.execution.context import Context

BEAT_EVERY_S = 1.0
_HOLD_S = 0.001
_BRIEF_S = 0.0005
_READ_BYTES = 1 << 20
_encode_json = msgspec.json.Encoder().encode


class Worker:
    """One worker process; `serve` returns when the engine closed the connection."""

    def __init__(self, data: socket.socket, control: socket.socket, checkpoints: Path, token: str) -> None:
        self._data = data
        self._control = control
        self._checkpoints = checkpoints
        self._token = token
        self._meter = Meter()
        self._functions: dict[str, Callable[..., Any]] = {}
        self._stop = threading.Event()
        self._waiting: dict[str, messages.Begin] = {}
        self._current = ""
        self._context: Context | None = None
        self._turn = threading.Lock()
        self._reading = threading.Lock()
        self._reader = messages.FrameReader()
        self._sending = threading.Lock()
        self._held: list[bytes] = []
        self._held_since_s = 0.0

    def serve(self) -> None:
        """Run attempts until the engine closes the connection."""
        threading.Thread(target=self._listen, name="dnaml-control", daemon=True).start()
        while self._take_in(0):
            while (begin := self._next()) is not None:
                self._hold(self._run(begin))
            self._flush(0.0)

    def _take_in(self, flags: int) -> bool:
        """Read what the engine sent on the data socket; False when it is gone. One thread at a time may call this."""
        with self._reading:
            data = self._data.recv(_READ_BYTES, flags)
            for frame in self._reader.feed(data):
                message = messages.decode_from_engine(frame)
                if isinstance(message, messages.Begin):
                    self._waiting[message.attempt_id] = message
        return bool(data)

    def _next(self) -> messages.Begin | None:
        """Take the next attempt in line; from here on a stop request is for the attempt itself to notice."""
        with self._turn:
            self._stop.clear()
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

    def _listen(self) -> None:
        """Beat, and note which attempt is to stop; ends the process when the engine is gone."""
        self._control.settimeout(BEAT_EVERY_S)
        reader = messages.FrameReader()
        beat = messages.framed(messages.encode(messages.Beat()))
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
            try:
                self._flush(0.0)
                self._control.sendall(beat)
            except OSError:
                os.kill(os.getpid(), signal.SIGKILL)

    def _on_control(self, message: messages.FromEngine) -> None:
        if isinstance(message, messages.Stop):
            self._stop_one(message.attempt_id)

    def _stop_one(self, attempt_id: str) -> None:
        """Tell the running attempt to stop, or answer for one that stands behind it."""
        with self._turn:
            if attempt_id == self._current:
                self._stop.set()
                return
            if self._current:  # the main thread runs user code, so nobody else reads
                with contextlib.suppress(BlockingIOError):
                    self._take_in(socket.MSG_DONTWAIT)
            begin = self._waiting.pop(attempt_id, None)
        if begin is not None:
            idle = messages.Metered(0.0, 0.0, 0.0, 0, {})
            self._hold(messages.Ended(attempt_id, begin.epoch, "unbegun", b"", "", idle, "stopped before it began"))
            self._flush(0.0)

    def _run(self, begin: messages.Begin) -> messages.Ended:
        payload = messages.decode_payload(begin.payload)
        reach(CrashPoint.ATTEMPT_RECEIVED)
        log_start = os.fstat(1).st_size
        self._meter.start()
        try:
            result = self._call(begin, payload)
            ended = self._done(begin, payload, result)
        except SystemExit as error:
            ended = self._failed(begin, error, f"it exited with code {error.code}")
        except BaseException as error:  # noqa: BLE001  # the edge at which a crash of user work becomes the FAILED outcome
            ended = self._failed(begin, error, _one_line(error))
        sys.stdout.flush()
        sys.stderr.flush()
        if orphans.has_children():
            ended.metered.extra["killed_children"] = float(orphans.kill_left_behind(self._token))
        ended.log_start, ended.log_end = log_start, os.fstat(1).st_size
        reach(CrashPoint.RESULT_MADE)
        return ended

    def _call(self, begin: messages.Begin, payload: messages.Payload) -> Any:  # Any: whatever the user returns
        function = self._functions.get(payload.function_digest)
        if function is None:
            function = self._functions[payload.function_digest] = pickling.loads(payload.function)
        args, kwargs = pickling.loads(payload.arguments)
        self._context = self._new_context(begin) if payload.wants_context else None
        if self._context is not None:
            kwargs["context"] = self._context
        return function(*args, **kwargs)

    def _new_context(self, begin: messages.Begin) -> "Context":
        from dnaml.execution.checkpoints import CheckpointStore
        from dnaml.execution.context import Context

        def report(checkpoint: Checkpoint) -> None:
            sealed = messages.Sealed(
                begin.attempt_id, begin.epoch, checkpoint.id, checkpoint.progress, checkpoint.size_bytes
            )
            with self._sending:
                self._held.append(messages.framed(messages.encode(sealed)))
            self._flush(0.0)

        return Context(
            store=CheckpointStore(self._checkpoints),
            job_id=begin.job_id,
            computation_id=begin.computation_id,
            attempt_id=begin.attempt_id,
            epoch=begin.epoch,
            checkpoint_id=begin.checkpoint_id,
            checkpoint_every_s=begin.checkpoint_every_s,
            report=report,
            stop=self._stop,
        )

    def _done(self, begin: messages.Begin, payload: messages.Payload, result: Any) -> messages.Ended:
        if self._context is not None and self._context.told_to_stop:
            return self._stopped(begin, "stopped at a step")
        metered = self._meter.stop()
        try:
            pickled = pickling.dumps(result)
        except InputError as error:
            return self._failed(begin, error, f"its result cannot be sent back: {error}")
        terminal = _encode_json(terminal_state(result, outputs=payload.outputs))
        outcome = messages.encode(messages.Outcome(pickled, b"", "", terminal))
        return messages.Ended(begin.attempt_id, begin.epoch, "done", outcome, pickling.digest(pickled), metered, None)

    def _stopped(self, begin: messages.Begin, why: str) -> messages.Ended:
        return messages.Ended(begin.attempt_id, begin.epoch, "stopped", b"", "", self._meter.stop(), why)

    def _failed(self, begin: messages.Begin, error: BaseException, line: str) -> messages.Ended:
        metered = self._meter.stop()
        text = "".join(traceback.format_exception(error))
        outcome = messages.encode(messages.Outcome(b"", pickling.dumps_exception(error), text, b""))
        return messages.Ended(begin.attempt_id, begin.epoch, "failed", outcome, "", metered, line)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def main() -> None:
    """Serve on the two sockets named on the command line: data fd, control fd, checkpoint folder, engine's pid."""
    data_fd, control_fd, folder, parent = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    orphans.die_with_parent(parent)
    orphans.become_subreaper()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path[:0] = [entry for entry in os.environ.pop("DNAML_PATH", "").split(os.pathsep) if entry not in sys.path]
    token = os.environ.get("DNAML_WORKER", "")
    with socket.socket(fileno=data_fd) as data, socket.socket(fileno=control_fd) as control:
        for channel in (data, control):
            channel.set_inheritable(False)
        Worker(data, control, Path(folder), token).serve()
    os._exit(0)


if __name__ == "__main__":
    main()
