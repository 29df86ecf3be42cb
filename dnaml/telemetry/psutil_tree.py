"""A process tree read through psutil: for systems without /proc. Dearer than the raw way, the same metrics."""

import contextlib

import psutil

_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess)
_MOMENTARY = ("memory_bytes", "threads")


class PsutilTree:
    """All processes under one root; counters of ended processes are kept as last seen."""

    def __init__(self, pid: int) -> None:
        """Open the root; a process that is gone gives empty reads."""
        self._known: dict[int, psutil.Process] = {}
        self._last: dict[int, dict[str, float]] = {}
        self._ended: dict[str, float] = {}
        self._peak_bytes = 0.0
        with contextlib.suppress(*_GONE):
            self._known[pid] = psutil.Process(pid)

    def cpu(self) -> dict[str, float]:
        """Return the processor time of the known processes, and every counter if one of them has ended."""
        total_s = self._ended.get("cpu_s", 0.0)
        try:
            for process in self._known.values():
                times = process.cpu_times()
                total_s += times.user + times.system
        except _GONE:
            return self.read()
        return {"cpu_s": total_s} if self._known else {}

    def read(self) -> dict[str, float]:
        """Return the counters of the whole tree, new children included; empty once no process lives."""
        self._discover()
        for pid, process in list(self._known.items()):
            try:
                if process.status() == psutil.STATUS_ZOMBIE:
                    raise psutil.NoSuchProcess(pid)
                self._last[pid] = _counters(process)
            except _GONE:
                self._retire(pid)
        if not self._known:
            return {}
        total = dict(self._ended)
        for pid in self._known:
            for key, value in self._last[pid].items():
                total[key] = total.get(key, 0.0) + value
        self._peak_bytes = max(self._peak_bytes, total["memory_bytes"])
        return {**total, "peak_memory_bytes": self._peak_bytes, "processes": float(len(self._known))}

    def pids(self) -> tuple[int, ...]:
        """Return the processes known at the last read."""
        return tuple(self._known)

    def close(self) -> None:
        """Forget every process."""
        self._known.clear()

    def _discover(self) -> None:
        for process in list(self._known.values()):
            with contextlib.suppress(*_GONE):
                for child in process.children(recursive=True):
                    self._known.setdefault(child.pid, child)

    def _retire(self, pid: int) -> None:
        del self._known[pid]
        for key, value in self._last.pop(pid, {}).items():
            if key not in _MOMENTARY:
                self._ended[key] = self._ended.get(key, 0.0) + value


def _counters(process: psutil.Process) -> dict[str, float]:
    """Return one process's counters; what the system does not offer is absent."""
    with process.oneshot():
        cpu, memory, switches = process.cpu_times(), process.memory_info(), process.num_ctx_switches()
        found = {
            "cpu_s": float(cpu.user + cpu.system),
            "cpu_user_s": float(cpu.user),
            "cpu_system_s": float(cpu.system),
            "memory_bytes": float(memory.rss),
            "threads": float(process.num_threads()),
            "voluntary_switches": float(switches.voluntary),
            "involuntary_switches": float(switches.involuntary),
        }
        faults, pageins = getattr(memory, "pfaults", None), getattr(memory, "pageins", None)  # macOS
        if faults is not None and pageins is not None:
            found["minor_faults"], found["major_faults"] = float(faults - pageins), float(pageins)
        if hasattr(process, "io_counters"):  # not on macOS
            io = process.io_counters()
            found["disk_read_bytes"], found["disk_written_bytes"] = float(io.read_bytes), float(io.write_bytes)
    return found
