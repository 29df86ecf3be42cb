"""One attempt inside a worker: unpickle, cut to its part, call, meter, and put what came of it into one message.

Everything here runs in the worker's main thread, but `so_far`, `seal` and `expire`, which its other thread calls.
"""

import _signal  # type: ignore[import-not-found]  # signal.getsignal adds a search for a name, at each attempt
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import msgspec

from dnaml.core.attempt import Checkpoint
from dnaml.core.errors import InputError
from dnaml.execution import messages, orphans, pickling
from dnaml.execution.argv import run_argv
from dnaml.execution.capture import terminal_state
from dnaml.execution.crashpoints import CrashPoint, reach
from dnaml.execution.metering import Meter

if TYPE_CHECKING:
    from dnaml.execution.context import Context

TERMINATED = 128 + signal.SIGTERM
"""Is the exit code of a plain function that used more than it was allowed and was told by SIGTERM."""

_PART, _PARTS = "DNAML_PART", "DNAML_PARTS"
_MOST_TO_SEAL = 64  # attempts that may stand in line here, twice over
_OURS = os.path.dirname(__file__)
_handler = _signal.getsignal
_encode_json = msgspec.json.Encoder().encode
SealedToEngine = Callable[[messages.Sealed], None]


class Runner:
    """Runs one attempt after the other; `stop` is the flag that a running one looks at."""

    def __init__(self, checkpoints: Path, token: str, sealed: SealedToEngine, beat: Callable[[], None]) -> None:
        self.stop = threading.Event()
        self._checkpoints = checkpoints
        self._token = token
        self._sealed = sealed
        self._beat = beat
        self._meter = Meter()
        self._functions: dict[str, Callable[..., Any]] = {}
        self._context: Context | None = None
        self._current: messages.Begin | None = None
        self._is_command = False
        self._expired = ""
        self._to_seal: deque[str] = deque(maxlen=_MOST_TO_SEAL)

    # -- from the other thread -----------------------------------------------------------------------------------------

    def so_far(self) -> messages.Beat:
        """Return how far the running attempt is; a beat without a name where none runs."""
        begin, context = self._current, self._context
        if begin is None:
            return messages.Beat()
        progress = context.progress if context is not None and context.attempt_id == begin.attempt_id else 0.0
        used_s = self._meter.used_s()
        if self._current is not begin:
            return messages.Beat()  # the clock may be another attempt's
        return messages.Beat(begin.attempt_id, begin.epoch, progress, used_s)

    def seal(self, attempt_id: str) -> None:
        """Make a checkpoint of an attempt due, now or when it begins."""
        self._to_seal.append(attempt_id)
        context = self._context
        if context is not None and context.attempt_id == attempt_id:
            context.seal()

    def expire(self, attempt_id: str) -> None:
        """Send SIGTERM to this process and its group: the attempt used what it was allowed."""
        self._expired = attempt_id
        self.stop.set()
        os.killpg(os.getpgid(0), signal.SIGTERM)

    # -- in the main thread --------------------------------------------------------------------------------------------

    def listen_to_sigterm(self) -> None:
        """Take SIGTERM ourselves, again if user code took it over: what expired is told from what was killed."""
        if _handler(signal.SIGTERM) != self._on_sigterm:
            signal.signal(signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        """End a plain function that expired; a command heard for itself, a context is told by its flag."""
        begin = self._current
        if not self._expired:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif begin is not None and begin.attempt_id == self._expired and not self._is_command and not self._context:
            raise SystemExit(TERMINATED)

    def warm(self, message: messages.Warm) -> None:
        """Import what a function needs before it is needed; whatever that raises, it raises again when it is called."""
        try:
            self._functions.setdefault(message.function_digest, pickling.loads(message.function))
        except BaseException:  # noqa: BLE001  # the edge to user code, which is run again in earnest
            pass

    def run(self, begin: messages.Begin) -> messages.Ended:
        """Run an attempt to its end, whatever that is, and leave no child of it behind."""
        payload = messages.decode_payload(begin.payload)
        reach(CrashPoint.ATTEMPT_RECEIVED)
        self.listen_to_sigterm()
        log_start = os.fstat(1).st_size
        self._meter.start()
        self._current, self._context, self._expired = begin, None, ""
        try:
            result = self._call(begin, payload)
            ended = self._done(begin, payload, result)
        except SystemExit as error:
            ended = self._failed(begin, error, f"it exited with code {error.code}")
        except BaseException as error:  # noqa: BLE001  # the edge at which a crash of user work becomes the FAILED outcome
            ended = self._failed(begin, error, _one_line(error))
        self._current = None
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
        self._is_command = function is run_argv
        if begin.parts > 1:
            return self._call_part(begin, payload, function, args, kwargs)
        return self._call_whole(begin, payload, function, args, kwargs)

    def _call_whole(
        self,
        begin: messages.Begin,
        payload: messages.Payload,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:  # Any: the user's arguments and result
        if payload.wants_context:
            kwargs["context"] = self._context = context = self._new_context(begin)
            if begin.attempt_id in self._to_seal:
                context.seal()
        return function(*args, **kwargs)

    def _call_part(
        self,
        begin: messages.Begin,
        payload: messages.Payload,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:  # Any: the user's arguments and result
        """Call with the part's slice of the first argument; a command is told which part it is and does the rest."""
        from dnaml.execution.parts import sliced

        if not self._is_command:
            args = sliced(args, kwargs, begin.start, begin.share)
        before = {name: os.environ.get(name, "") for name in (_PART, _PARTS)}
        os.environ[_PART], os.environ[_PARTS] = str(begin.part), str(begin.parts)
        try:
            return self._call_whole(begin, payload, function, args, kwargs)
        finally:
            os.environ.update(before)

    def _new_context(self, begin: messages.Begin) -> "Context":
        from dnaml.execution.checkpoints import CheckpointStore
        from dnaml.execution.context import Context

        def report(checkpoint: Checkpoint, write_s: float) -> None:
            self._sealed(
                messages.Sealed(
                    begin.attempt_id, begin.epoch, checkpoint.id, checkpoint.progress, checkpoint.size_bytes, write_s
                )
            )

        return Context(
            store=CheckpointStore(self._checkpoints),
            job_id=begin.job_id,
            computation_id=begin.computation_id,
            attempt_id=begin.attempt_id,
            epoch=begin.epoch,
            checkpoint_id=begin.checkpoint_id,
            checkpoint_every_s=begin.checkpoint_every_s,
            part=begin.part,
            parts=begin.parts,
            lineage=begin.lineage,
            restored=self._beat,
            report=report,
            stop=self.stop,
        )

    def _done(self, begin: messages.Begin, payload: messages.Payload, result: Any) -> messages.Ended:
        if self._context is not None and self._context.told_to_stop:
            return messages.Ended(
                begin.attempt_id, begin.epoch, "stopped", b"", "", self._meter.stop(), "stopped at a step"
            )
        metered = self._meter.stop()
        try:
            pickled = pickling.dumps(result)
        except InputError as error:
            return self._failed(begin, error, f"its result cannot be sent back: {error}")
        terminal = _encode_json(terminal_state(result, outputs=payload.outputs))
        outcome = messages.encode(messages.Outcome(pickled, b"", "", terminal))
        return messages.Ended(begin.attempt_id, begin.epoch, "done", outcome, pickling.digest(pickled), metered, None)

    def _failed(self, begin: messages.Begin, error: BaseException, line: str) -> messages.Ended:
        metered = self._meter.stop()
        outcome = messages.encode(messages.Outcome(b"", pickling.dumps_exception(error), told_of(error), b""))
        ended = messages.Ended(begin.attempt_id, begin.epoch, "failed", outcome, "", metered, line)
        ended.out_of_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
        return ended


def told_of(error: BaseException) -> str:
    """Return the traceback of an error from the first frame of the user's own on; its last line where none is."""
    trace = error.__traceback__
    while trace is not None and os.path.dirname(trace.tb_frame.f_code.co_filename) == _OURS:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace, chain=trace is not None))


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
