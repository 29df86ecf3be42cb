"""Telemetry of one attempt: its process tree sampled from outside, by the cheapest way this system has.

Counters are totals since each process began, children that came and went included; they never fall.
A metric that the system does not tell, or that was not read this time, is absent.
"""

import os
from collections.abc import Mapping
from time import monotonic as _monotonic
from types import TracebackType
from typing import Protocol, Self

from dnaml.telemetry import nvml
from dnaml.telemetry.tcp_bytes import TcpBytes


class Tree(Protocol):
    """Reads the processes under one root; made by `open_tree`."""

    def cpu(self) -> dict[str, float]:
        """Return `cpu_s` of the known processes, and more where that comes for free; empty once none is left."""
        ...

    def read(self) -> dict[str, float]:
        """Return every counter, after looking for new children; empty once no process is left."""
        ...

    def pids(self) -> tuple[int, ...]:
        """Return the processes known at the last read."""
        ...

    def close(self) -> None:
        """Free what the reader holds open."""
        ...


def open_tree(pid: int) -> Tree:
    """Return a reader of the tree under `pid`: raw /proc on Linux, psutil elsewhere."""
    if os.path.exists("/proc/self/stat"):
        from dnaml.telemetry.proc_tree import ProcTree

        return ProcTree(pid)
    from dnaml.telemetry.psutil_tree import PsutilTree

    return PsutilTree(pid)


class TreeSampler:
    """A collector of one process tree. Every sample has `cpu_s`; once in `full_every_s` it has everything else too:
    user and system time, memory and its peak, faults, bytes, context switches, TCP bytes, GPU use.

    >>> with TreeSampler(os.getpid()) as sampler:
    ...     sampler.sample()["processes"] >= 1
    True
    """

    def __init__(self, pid: int, *, full_every_s: float = 5.0) -> None:
        """Open the counters of `pid`; a process that is gone already gives empty samples."""
        self._tree = open_tree(pid)
        self._tcp = TcpBytes()
        self._full_every_s = full_every_s
        self._full_due_s = 0.0

    def sample(self, *, full: bool = False) -> Mapping[str, float]:
        """Return what is due of the tree's counters; `full` asks for all of them now, as before the tree ends."""
        now_s = _monotonic()
        if not full and now_s < self._full_due_s:
            return self._tree.cpu()
        self._full_due_s = now_s + self._full_every_s
        metrics = self._tree.read()
        if not metrics:
            return {}
        pids = self._tree.pids()
        return {**metrics, **self._tcp.of(pids), **nvml.use_by(pids)}

    def pids(self) -> tuple[int, ...]:
        """Return the processes known at the last full sample."""
        return self._tree.pids()

    def close(self) -> None:
        """Free the file descriptors."""
        self._tree.close()
        self._tcp.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
