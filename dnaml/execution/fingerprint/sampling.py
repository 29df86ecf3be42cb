"""Sees from a second thread, 100 times a second, in which precision a function works: by the arrays its frames hold.

A sample belongs to the innermost frame that holds an array, and is shared among its arrays by their bytes. Arrays that
exist only inside an expression are not seen; such a sample counts as unknown. Moments in which the function's thread
does not compute are not sampled.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FrameType
from typing import Any

PERIOD_S = 0.01
_BUSY_SHARE = 0.1
_SNAPSHOT_EVERY = 20  # periods
_MOST_FRAMES = 12
_MOST_VALUES = 64
_LOW = frozenset({"float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "complex32"})
_SINGLE = frozenset({"float32", "complex64"})
_DOUBLE = frozenset({"float64", "complex128", "longdouble", "float128"})


def precision_of(dtype: object) -> str:
    """Return fp64, fp32, low or integer for a dtype of numpy or torch."""
    name = str(dtype).removeprefix("torch.")
    if name in _DOUBLE:
        return "fp64"
    if name in _SINGLE:
        return "fp32"
    return "low" if name in _LOW else "integer"


class FrameSampler:
    """Samples the frames of one thread between `start` and `stop`, down to the frame of the code `below`."""

    def __init__(self, thread_id: int, below: CodeType, snapshot: Callable[[], None]) -> None:
        self.counts: dict[str, float] = {}
        self.samples = 0
        self._thread_id = thread_id
        self._below = below
        self._snapshot = snapshot
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dnaml-sampler", daemon=True)

    def start(self) -> None:
        """Begin to sample."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more samples; returns once the last is taken."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        rounds, cpu_s = 0, self._cpu_s()
        while not self._stop.wait(PERIOD_S):
            before_s, cpu_s = cpu_s, self._cpu_s()
            frame = sys._current_frames().get(self._thread_id)
            if frame is not None and cpu_s - before_s >= _BUSY_SHARE * PERIOD_S:
                self._take(frame)
            rounds += 1
            if rounds % _SNAPSHOT_EVERY == 0:
                self._snapshot()

    def _cpu_s(self) -> float:
        clock = getattr(time, "pthread_getcpuclockid", None)
        return time.monotonic() if clock is None else time.clock_gettime(clock(self._thread_id))

    def _take(self, frame: FrameType | None) -> None:
        self.samples += 1
        for _ in range(_MOST_FRAMES):
            if frame is None or frame.f_code is self._below:
                break
            held = _held(frame)
            if held:
                total = sum(held.values())
                for kind, size in held.items():
                    self.counts[kind] = self.counts.get(kind, 0.0) + size / total
                return
            frame = frame.f_back
        self.counts["unknown"] = self.counts.get("unknown", 0.0) + 1.0


def _held(frame: FrameType) -> dict[str, float]:
    """Return bytes by kind of number among the local values of a frame and the attributes of its `self`."""
    found: dict[str, float] = {}
    try:
        values = list(frame.f_locals.values())[:_MOST_VALUES]
    except RuntimeError:  # the frame went on and its variables changed
        return found
    for array in _arrays(values):
        kind = precision_of(array.dtype)
        found[kind] = found.get(kind, 0.0) + float(array.nbytes or 1)
    return found


def _arrays(values: Iterable[Any]) -> Iterator[Any]:  # Any: whatever a frame holds
    for value in values:
        if _is_array(value):
            yield value
        elif type(value) in (list, tuple):
            yield from (item for item in value[:4] if _is_array(item))
        elif hasattr(value, "__dict__") and not isinstance(value, type) and type(value).__module__ != "builtins":
            yield from (item for item in list(vars(value).values())[:_MOST_VALUES] if _is_array(item))


def _is_array(value: Any) -> bool:
    if type(value).__module__.partition(".")[0] not in ("numpy", "torch"):
        return False
    return type(value).__name__ in ("ndarray", "Tensor", "Parameter", "memmap") and isinstance(value.nbytes, int)
