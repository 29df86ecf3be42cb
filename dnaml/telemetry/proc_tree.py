"""A process tree read from the Linux kernel: processor time by the processes' own clocks, the rest from /proc.

A process's CPU clock costs a microsecond and no text (clock_getcpuclockid(3)); /proc files are kept open, and an open
one answers only for the process it was opened for, so a reused process id cannot be taken for the old one.
"""

import contextlib
import os
from time import clock_gettime as _clock_gettime

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_FLAGS = os.O_RDONLY | os.O_CLOEXEC

# Places in /proc/PID/stat counted from the state, the field behind the command's closing parenthesis (man 5 proc).
_STATE, _PARENT, _MINFLT, _CMINFLT, _MAJFLT, _CMAJFLT = 0, 1, 7, 8, 9, 10
_UTIME, _STIME, _CUTIME, _CSTIME, _THREADS, _RSS = 11, 12, 13, 14, 17, 21
# Of a process's main thread: the kernel keeps no sum over threads. The newline tells one label from the other's end.
_SWITCHES = {
    "voluntary_switches": b"\nvoluntary_ctxt_switches:",
    "involuntary_switches": b"nonvoluntary_ctxt_switches:",
}
_GONE = (ProcessLookupError, FileNotFoundError, PermissionError)


class _Process:
    """The open files of one process and what they said last."""

    __slots__ = (
        "children",
        "clock",
        "inherited_s",
        "io",
        "is_zombie",
        "parent",
        "peak_bytes",
        "pid",
        "stat",
        "stats",
        "status",
        "threads",
        "totals",
    )

    def __init__(self, pid: int) -> None:
        """Raise ProcessLookupError or FileNotFoundError if the process is gone."""
        self.pid = pid
        self.stat = os.open(f"/proc/{pid}/stat", _FLAGS)
        self.io = _opened(f"/proc/{pid}/io")
        self.status = _opened(f"/proc/{pid}/status")
        self.clock = (~pid << 3) | 2  # as clock_getcpuclockid makes it: the whole process, scheduler's nanoseconds
        self.threads: dict[int, int] = {}  # thread id -> its list of children
        self.children: list[int] = []
        self.parent = 0
        self.peak_bytes = 0.0
        self.stats: tuple[int, ...] = (0,) * 6  # user and system ticks, minor and major faults, threads, pages
        self.inherited_s = 0.0  # processor time of children it waited for
        self.is_zombie = False
        self.totals: dict[str, float] = {}

    def read(self) -> None:
        """Refresh every counter; raises ProcessLookupError once the process is gone."""
        raw = os.pread(self.stat, 1024, 0)
        f = raw[raw.rindex(b")") + 2 :].split(None, 22)
        inherited = int(f[_CUTIME]), int(f[_CSTIME])
        self.is_zombie = f[_STATE] == b"Z"
        self.parent = int(f[_PARENT])
        self.inherited_s = sum(inherited) * _TICK_S
        self.stats = (
            int(f[_UTIME]) + inherited[0],
            int(f[_STIME]) + inherited[1],
            int(f[_MINFLT]) + int(f[_CMINFLT]),
            int(f[_MAJFLT]) + int(f[_CMAJFLT]),
            int(f[_THREADS]),
            int(f[_RSS]),
        )
        self._read_io()
        self._read_status()
        if len(self.threads) != self.stats[4] or self.stats[4] > 1:
            self._follow_threads()
        self.children = [c for fd in self.threads.values() for c in _children(fd)]

    def close(self) -> None:
        for fd in (self.stat, self.io, self.status, *self.threads.values()):
            if fd is not None:
                os.close(fd)

    def _read_io(self) -> None:
        if self.io is not None:
            with contextlib.suppress(*_GONE):
                io = os.pread(self.io, 512, 0).split()
                self.totals["read_bytes"], self.totals["written_bytes"] = float(io[1]), float(io[3])
                self.totals["disk_read_bytes"], self.totals["disk_written_bytes"] = float(io[9]), float(io[11])

    def _read_status(self) -> None:
        if self.status is not None:
            with contextlib.suppress(*_GONE):
                raw = os.pread(self.status, 4096, 0)
                self.peak_bytes = (_number(raw, b"VmHWM:") or 0.0) * 1024
                for key, label in _SWITCHES.items():
                    value = _number(raw, label)
                    if value is not None:
                        self.totals[key] = value

    def _follow_threads(self) -> None:
        """Open the children lists of threads that are new; close those of threads that ended."""
        try:
            now = {int(t) for t in os.listdir(f"/proc/{self.pid}/task")}
        except _GONE:
            return
        for thread in now - self.threads.keys():
            fd = _opened(f"/proc/{self.pid}/task/{thread}/children")
            if fd is not None:
                self.threads[thread] = fd
        for thread in self.threads.keys() - now:
            os.close(self.threads.pop(thread))


class ProcTree:
    """All processes under one root, those that left their parent included as long as they were seen before."""

    def __init__(self, pid: int) -> None:
        """Open the root; its children are found at each `read`."""
        self._known: dict[int, _Process] = {}
        self._left = [0, 0, 0, 0]  # ticks and faults of ended processes that no living parent has counted
        self._left_totals: dict[str, float] = {}
        self._totals: dict[str, float] = {}
        self._peak_bytes = 0.0
        self._highest: tuple[int, ...] = (0, 0, 0, 0)
        self._highest_s = 0.0
        self._clocks: tuple[int, ...] = ()
        self._base_s = 0.0  # processor time that no clock shows: children waited for, processes that ended
        self._add(pid)

    def cpu(self) -> dict[str, float]:
        """Return the processor time of the known processes, and every counter if one of them has ended."""
        total_s = self._base_s
        try:
            for clock in self._clocks:
                total_s += _clock_gettime(clock)
        except OSError:
            return self.read()
        if not self._clocks:
            return {}
        if total_s > self._highest_s:
            self._highest_s = total_s
        return {"cpu_s": self._highest_s}

    def read(self) -> dict[str, float]:
        """Return the counters of the whole tree, new children included; empty once no process is left."""
        queue, ended = list(self._known.values()), []
        for process in queue:  # grows while it is walked
            try:
                process.read()
            except _GONE:
                ended.append(process)
                continue
            for child in process.children:
                if child not in self._known and (found := self._add(child)):
                    queue.append(found)
        for process in ended:
            self._retire(process)
        self._clocks = tuple(p.clock for p in self._known.values())
        if not self._known:
            return {}
        self._base_s = sum(p.inherited_s for p in self._known.values()) + (self._left[0] + self._left[1]) * _TICK_S
        self._totals = self._sum_totals()
        return {**self._sum(), **self._totals}

    def pids(self) -> tuple[int, ...]:
        """Return the processes known at the last read."""
        return tuple(self._known)

    def close(self) -> None:
        """Close every file."""
        for process in self._known.values():
            process.close()
        self._known.clear()
        self._clocks = ()

    def _add(self, pid: int) -> _Process | None:
        try:
            process = _Process(pid)
        except _GONE:
            return None
        self._known[pid] = process
        return process

    def _retire(self, process: _Process) -> None:
        """Forget an ended process. Its parent's counters hold its times and bytes if the parent still lives to wait
        for it; context switches are never handed on, so they are always kept here."""
        del self._known[process.pid]
        process.close()
        inherited = process.parent in self._known
        for key, value in process.totals.items():
            if key in _SWITCHES or not inherited:
                self._left_totals[key] = self._left_totals.get(key, 0.0) + value
        if not inherited:
            self._left = [a + b for a, b in zip(self._left, process.stats, strict=False)]

    def _sum(self) -> dict[str, float]:
        """Return times, faults and memory. None falls: an ended child is in no counter until its parent waits."""
        user, system, minor, major, threads, pages = (
            sum(column) for column in zip((*self._left, 0, 0), *(p.stats for p in self._known.values()), strict=True)
        )
        self._highest = tuple(map(max, (user, system, minor, major), self._highest))
        memory_bytes = float(pages * _PAGE_BYTES)
        self._peak_bytes = max(self._peak_bytes, memory_bytes)
        times_s = self._highest[0] * _TICK_S, self._highest[1] * _TICK_S
        self._highest_s = max(self._highest_s, sum(times_s))
        return {
            "cpu_s": self._highest_s,
            "cpu_user_s": times_s[0],
            "cpu_system_s": times_s[1],
            "minor_faults": float(self._highest[2]),
            "major_faults": float(self._highest[3]),
            "memory_bytes": memory_bytes,
            "peak_memory_bytes": self._peak_bytes,
            "processes": float(sum(not p.is_zombie for p in self._known.values())),
            "threads": float(threads),
        }

    def _sum_totals(self) -> dict[str, float]:
        """Return bytes and context switches, which never fall, and note the largest process's own peak memory."""
        total = self._left_totals.copy()
        for process in self._known.values():
            for key, value in process.totals.items():
                total[key] = total.get(key, 0.0) + value
            self._peak_bytes = max(self._peak_bytes, process.peak_bytes)
        return {key: max(value, self._totals.get(key, 0.0)) for key, value in total.items()}


def _number(raw: bytes, label: bytes) -> float | None:
    """Return the first number after a label of /proc/PID/status."""
    at = raw.find(label)
    return float(raw[at + len(label) :].split(None, 1)[0]) if at >= 0 else None


def _children(fd: int) -> list[int]:
    try:
        raw = os.pread(fd, 65536, 0)
    except _GONE:
        return []
    return [int(child) for child in raw.split()] if raw else []


def _opened(path: str) -> int | None:
    try:
        return os.open(path, _FLAGS)
    except OSError:
        return None
