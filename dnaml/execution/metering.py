"""What one attempt used, measured from inside its worker: CPU, time blocked on I/O, memory, faults, bytes.

A run's own clock is CPU time of the process and its children plus the time the main thread was blocked: neither on a
core nor waiting for one (Linux tells the run-queue delay in /proc/thread-self/schedstat). Peak memory is that of the
attempt alone: `ru_maxrss` would be the largest ever, that of the process which started this one included.
"""

import os
import resource
import sys
import threading
import time

from dnaml.execution.messages import Metered

_NANO = 1e-9
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024

_Reading = tuple[float, resource.struct_rusage, resource.struct_rusage, float, float, tuple[int, int] | None]


class Meter:
    """Reads the counters of this process; `start` then `stop` around one attempt, from the thread that runs it.

    What the files below `proc` would tell is left out, or less exact, where a system has none.
    """

    def __init__(self, proc: str = "/proc") -> None:
        self._schedstat = _open(f"{proc}/thread-self/schedstat")
        self._io = _open(f"{proc}/self/io")
        self._status = _open(f"{proc}/self/status")
        self._reset = _open(f"{proc}/self/clear_refs", os.O_WRONLY)
        self._thread_clock = _thread_clock()
        self._before = self._read()

    def start(self) -> None:
        """Remember the counters, and forget the peak of memory so far."""
        if self._reset is not None:
            os.write(self._reset, b"5")
        self._before = self._read()

    def stop(self) -> Metered:
        """Return what was used since `start`."""
        now = self._read()
        _, self0, children0, _, _, io0 = self._before
        wall_s, cpu_s, blocked_s = self._clock_s(now)
        _, self1, children1, _, _, io1 = now
        user_s = self1.ru_utime - self0.ru_utime + children1.ru_utime - children0.ru_utime
        system_s = self1.ru_stime - self0.ru_stime + children1.ru_stime - children0.ru_stime
        extra = {
            "cpu_user_s": user_s,
            "cpu_system_s": system_s,
            "minor_faults": float(self1.ru_minflt - self0.ru_minflt),
            "major_faults": float(self1.ru_majflt - self0.ru_majflt),
            "voluntary_switches": float(self1.ru_nvcsw - self0.ru_nvcsw),
            "involuntary_switches": float(self1.ru_nivcsw - self0.ru_nivcsw),
        }
        if io0 and io1:
            extra["read_bytes"] = float(io1[0] - io0[0])
            extra["written_bytes"] = float(io1[1] - io0[1])
        children_peak = children1.ru_maxrss if children1.ru_maxrss > children0.ru_maxrss else 0
        peak_bytes = max(self._peak_bytes(self1), children_peak * _MAXRSS_UNIT)
        return Metered(wall_s, cpu_s, blocked_s, peak_bytes, extra)

    def used_s(self) -> float:
        """Return how far the attempt's own clock is since `start`; any thread may ask."""
        _, cpu_s, blocked_s = self._clock_s(self._read())
        return cpu_s + blocked_s

    def _clock_s(self, now: _Reading) -> tuple[float, float, float]:
        """Return wall, CPU and blocked seconds between `start` and a reading."""
        wall0, self0, children0, thread0, delay0, _ = self._before
        wall1, self1, children1, thread1, delay1, _ = now
        children_s = children1.ru_utime + children1.ru_stime - children0.ru_utime - children0.ru_stime
        cpu_s = self1.ru_utime + self1.ru_stime - self0.ru_utime - self0.ru_stime + children_s
        on_core_s = max(thread1 - thread0 + children_s, cpu_s)  # other threads work while this one waits for them
        wall_s = wall1 - wall0
        blocked_s = max(0.0, wall_s - on_core_s - (delay1 - delay0))
        return wall_s, max(cpu_s, thread1 - thread0), blocked_s

    def _read(self) -> _Reading:
        return (
            time.monotonic(),
            resource.getrusage(resource.RUSAGE_SELF),
            resource.getrusage(resource.RUSAGE_CHILDREN),
            time.thread_time() if self._thread_clock is None else time.clock_gettime(self._thread_clock),
            self._delay_s(),
            self._io_bytes(),
        )

    def _peak_bytes(self, usage: resource.struct_rusage) -> int:
        if self._status is None:
            return usage.ru_maxrss * _MAXRSS_UNIT
        text = os.pread(self._status, 4096, 0)
        return int(text[text.index(b"VmHWM:") + 6 :].split(None, 1)[0]) * 1024

    def _delay_s(self) -> float:
        if self._schedstat is None:
            return 0.0
        return int(os.pread(self._schedstat, 64, 0).split()[1]) * _NANO

    def _io_bytes(self) -> tuple[int, int] | None:
        """Return characters read and written by system calls (rchar, wchar), cached or not."""
        if self._io is None:
            return None
        fields = os.pread(self._io, 256, 0).split()
        return int(fields[1]), int(fields[3])


def _thread_clock() -> int | None:
    """Return the clock of the calling thread's CPU time, which other threads can read too; None where there is none."""
    get = getattr(time, "pthread_getcpuclockid", None)
    return None if get is None else get(threading.get_ident())


def _open(path: str, flags: int = os.O_RDONLY) -> int | None:
    try:
        return os.open(path, flags | os.O_CLOEXEC)
    except OSError:
        return None
