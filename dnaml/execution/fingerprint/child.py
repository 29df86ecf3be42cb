"""The pilot's own process: loads the function once, runs it when told, reports what it saw.

Every run gets fresh arguments and an empty folder. The process dies with the one that started it.
"""

import contextlib
import importlib
import importlib.util
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import socket
from types import FunctionType
from typing import TYPE_CHECKING, Any

from dnaml.execution import orphans, pickling
from dnaml.execution.code_references import in_library, references
from dnaml.execution.fingerprint.naming import CONTEXT
from dnaml.execution.fingerprint.reports import Order, Report, State, Task, decode_order, encode
from dnaml.execution.fingerprint.sampling import FrameSampler
from dnaml.execution.metering import Meter

if TYPE_CHECKING:
    from dnaml.core.attempt import Checkpoint
    from dnaml.execution.context import Context
    from dnaml.execution.fingerprint.torch_ops import TorchOps

_PR_SET_THP_DISABLE = 41
_SAVE_EVERY_S = 0.5
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
_YARDSTICK_ITEMS = 8 << 20  # 64 MiB of int64
_YARDSTICK_S = 0.15


class PilotProcess:
    """Serves orders on a socket until it closes."""

    def __init__(self, channel: socket, folder: Path) -> None:
        self._channel = channel
        self._folder = folder
        self._sending = threading.Lock()
        self._runs = 0
        self._checkpoint_bytes: float | None = None

    def serve(self) -> None:
        """Load the function, say so, then run what is ordered."""
        try:
            self._call = pickling.loads((self._folder / "function").read_bytes())
            self._arguments()
            _import_libraries(self._call)
        except BaseException as error:  # noqa: BLE001  # loading runs the user's modules: the edge of user code
            self._send(Report(state=State.BROKEN, message=_one_line(error)))
            return
        self._send(Report(state=State.READY))
        with self._channel.makefile("rb") as lines:
            for line in lines:
                self._send(self._run(decode_order(line)))

    def _send(self, report: Report) -> None:
        with self._sending:
            self._channel.sendall(encode(report))

    def _arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        args, kwargs = pickling.loads((self._folder / "arguments").read_bytes())
        code = self._call.__code__ if isinstance(self._call, FunctionType) else None
        if code and CONTEXT in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] and CONTEXT not in kwargs:
            kwargs = {**kwargs, CONTEXT: self._context()}
        return args, kwargs

    def _run(self, order: Order) -> Report:
        self._runs += 1
        place = self._folder / "work" / str(self._runs)
        place.mkdir(parents=True)
        os.chdir(place)
        if order.small_pages:
            _use_small_pages()
        args, kwargs = self._arguments() if order.task is Task.CALL else ((order.task,), {})
        call = self._call if order.task is Task.CALL else _yardstick
        with _threads(order.threads):
            return self._watched(call, args, kwargs)

    def _watched(self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Report:
        report = Report(state=State.RUNNING, start_memory_bytes=_reset_peak())
        ops = _torch_ops()
        meter = Meter()
        started_s = time.monotonic()
        thread_s, children_s, _ = _clocks()

        def snapshot() -> None:
            report.samples, report.precision = sampler.samples, dict(sampler.counts)
            report.wall_s = time.monotonic() - started_s
            self._note(report, ops)
            self._send(report)

        sampler = FrameSampler(threading.get_ident(), _called.__code__, snapshot)
        sampler.start()
        meter.start()
        state, message = _called(call, args, kwargs, ops)
        used = meter.stop()
        thread_end_s, children_end_s, children_peak_bytes = _clocks()
        sampler.stop()
        report.state, report.message = state, message
        report.samples, report.precision = sampler.samples, dict(sampler.counts)
        report.wall_s, report.cpu_s, report.blocked_s = used.wall_s, used.cpu_s, used.blocked_s
        report.own_s = min(used.wall_s, thread_end_s - thread_s + children_end_s - children_s + used.blocked_s)
        report.read_bytes, report.written_bytes = used.extra.get("read_bytes"), used.extra.get("written_bytes")
        self._note(report, ops)
        report.peak_memory_bytes = max(report.peak_memory_bytes, children_peak_bytes)
        return report

    def _note(self, report: Report, ops: "TorchOps | None") -> None:
        report.peak_memory_bytes = _status_bytes("VmHWM")
        report.has_arrays = "numpy" in sys.modules or "torch" in sys.modules
        report.checkpoint_bytes = self._checkpoint_bytes
        if ops is not None:
            report.watches_torch = True
            report.flop, report.torch_weight, report.torch_s = dict(ops.flop), dict(ops.weight), ops.inside_s

    def _context(self) -> "Context":
        from dnaml.execution.checkpoints import CheckpointStore
        from dnaml.execution.context import Context

        def sealed(checkpoint: "Checkpoint", _: float) -> None:
            self._checkpoint_bytes = float(checkpoint.size_bytes)

        class FirstSaved(Context):
            """A context that writes the first state it is given, so that its size is known, then now and then."""

            wrote = False

            def save(self, progress: float, state: Any, *, force: bool = False) -> bool:
                self.wrote, first = True, not self.wrote
                return super().save(progress, state, force=force or first)

        store = CheckpointStore(self._folder / "checkpoints")
        return FirstSaved(
            store=store,
            job_id=f"pilot{self._runs}",
            attempt_id="pilot",
            checkpoint_every_s=_SAVE_EVERY_S,
            report=sealed,
        )


def _import_libraries(call: Callable[..., Any]) -> None:
    """Import the installed packages that a function imports itself, so that its first run is not mostly that."""
    if isinstance(call, FunctionType):
        for item in references(call.__code__).imports:
            if not item.level:
                with contextlib.suppress(ImportError):
                    if _is_installed(item.module):
                        importlib.import_module(item.module)
    _torch_ops()


def _is_installed(module: str) -> bool:
    spec = importlib.util.find_spec(module.partition(".")[0])
    return spec is not None and spec.origin is not None and in_library(spec.origin)


def _called(
    call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], ops: "TorchOps | None"
) -> tuple[State, str]:
    """Run user code and say how it ended; samples stop at this frame."""
    try:
        with ops or contextlib.nullcontext():
            call(*args, **kwargs)
    except SystemExit as error:
        return State.EXITED, f"it exited with code {error.code}"
    except BaseException as error:  # noqa: BLE001  # the edge at which a crash of user work becomes an outcome
        return State.RAISED, _one_line(error)
    return State.RETURNED, ""


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _torch_ops() -> "TorchOps | None":
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "Tensor"):
        return None
    from dnaml.execution.fingerprint.torch_ops import TorchOps

    with TorchOps():  # the first use of such a mode imports much of torch
        torch.zeros(1)
    return TorchOps()


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let numerical libraries use this many threads, as far as they can be told in a running process."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(count)
    if "numpy" not in sys.modules:
        yield
        return
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield
        return
    with threadpool_limits(count):
        yield


def _use_small_pages() -> None:
    """Take memory in pages of 4 KiB from here on, so that touched pages can be counted finely."""
    with contextlib.suppress(OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)


def _yardstick(task: Task) -> None:
    """Stream through 64 MiB, or read it at random places, for a while."""
    import numpy as np

    table = np.arange(_YARDSTICK_ITEMS)
    places = np.random.default_rng(0).integers(0, len(table), len(table) // 16)
    out = np.empty(len(table) if task is Task.SEQUENTIAL else len(places), table.dtype)
    end_s = time.thread_time() + _YARDSTICK_S
    while time.thread_time() < end_s:
        if task is Task.SEQUENTIAL:
            np.copyto(out, table)
        else:
            np.take(table, places, out=out, mode="clip")


def _clocks() -> tuple[float, float, float]:
    """Return processor seconds of this thread and of ended children, and the peak memory of the largest child."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.thread_time(), children.ru_utime + children.ru_stime, float(children.ru_maxrss * _MAXRSS_UNIT)


def _reset_peak() -> float:
    """Forget the peak of resident memory so far, where the system lets us, and return what is resident now."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return _status_bytes("VmRSS")


def _status_bytes(label: str) -> float:
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as lines:
            found = next((line for line in lines if line.startswith(label)), "")
        return float(found.split()[1]) * 1024
    except (OSError, IndexError):
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT)


def main() -> None:
    """Serve on the socket named on the command line: its descriptor, the pilot's folder, the parent's process id."""
    orphans.die_with_parent(int(sys.argv[3]))
    orphans.become_subreaper()
    sys.path[:0] = [entry for entry in os.environ.pop("DNAML_PATH", "").split(os.pathsep) if entry not in sys.path]
    with socket(fileno=int(sys.argv[1])) as channel:
        channel.set_inheritable(False)
        PilotProcess(channel, Path(sys.argv[2])).serve()
    os._exit(0)  # threads that the function left are not waited for


if __name__ == "__main__":
    main()
