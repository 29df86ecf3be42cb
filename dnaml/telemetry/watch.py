"""Watches a running engine from beside it: samples this machine, its GPUs and every attempt that lasts, into a store.

An attempt is followed from the second round that it is seen in, so short ones cost nothing here; what they used is in
their `Usage`. Workers live longer than attempts: an attempt's counters begin at zero when it is first followed.
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from dnaml.core.errors import StateFolderError
from dnaml.datasets.samples import SampleStore
from dnaml.telemetry.attempt import TreeSampler
from dnaml.telemetry.background import Background
from dnaml.telemetry.host import HostCollector
from dnaml.telemetry.nvml import NvmlCollector
from dnaml.telemetry.sampler import Sampler, Source

Running = Callable[[], Mapping[str, tuple[str, int]]]
"""Returns what runs now: attempt id -> (resource id, process id of its worker)."""

_MOMENTARY = frozenset({"memory_bytes", "processes", "threads", "gpu_memory_bytes", "gpu_busy_share"})
_SINCE_ALWAYS = frozenset({"peak_memory_bytes"})


class AttemptCollector:
    """A collector of one attempt in a worker that ran others before: counters from its first sample on."""

    def __init__(self, pid: int) -> None:
        """Open the worker's tree."""
        self._tree = TreeSampler(pid)
        self._first: dict[str, float] = {}

    def sample(self) -> dict[str, float]:
        """Return what the tree has used since the first sample, and what it holds now."""
        found = {}
        for key, value in self._tree.sample().items():
            if key in _MOMENTARY or key in _SINCE_ALWAYS:
                found[key] = value
            else:
                found[key] = max(value - self._first.setdefault(key, value), 0.0)
        return found

    def close(self) -> None:
        """Free the tree's files."""
        self._tree.close()


class Watch(Background):
    """Keeps telemetry of a running engine in `samples.sqlite` of its state folder, one round each `period_s`."""

    def __init__(
        self,
        folder: Path,
        running: Running,
        *,
        host_id: str = "local",
        period_s: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open the store; raises StateFolderError if that cannot be done. `clock` is that of whoever receives rows."""
        self._store = SampleStore(folder / "samples.sqlite")
        self._running = running
        self._seen: frozenset[str] = frozenset()
        self._followed: dict[str, tuple[int, AttemptCollector]] = {}
        self._sampler = Sampler(self._store, period_s=period_s, clock=clock, before_round=self._follow)
        self._sampler.add(Source(resource_id=host_id, attempt_id=None, collector=HostCollector()))
        self._sampler.add(Source(resource_id=host_id, attempt_id=None, collector=NvmlCollector()))

    def start(self) -> Self:
        """Start the sampling thread."""
        self._sampler.start()
        return self

    def poll(self) -> None:
        """Take one round now, from the caller's thread."""
        self._sampler.poll()

    def refused(self) -> dict[str, int]:
        """Return how many rows were set aside as impossible, by resource."""
        return self._store.refused()

    def stop(self) -> None:
        """End the thread, write what it has, close every file."""
        self._sampler.stop()
        for _, collector in self._followed.values():
            collector.close()
        self._followed.clear()
        with contextlib.suppress(StateFolderError):  # the sampler has counted it
            self._store.close()

    def _follow(self) -> None:
        """Take up the attempts that were here a round ago too; leave those that ended."""
        now = self._running()
        for attempt_id in self._followed.keys() - now.keys():
            key, collector = self._followed.pop(attempt_id)
            self._sampler.remove(key)
            collector.close()
        for attempt_id in (now.keys() & self._seen) - self._followed.keys():
            resource_id, pid = now[attempt_id]
            collector = AttemptCollector(pid)
            source = Source(resource_id=resource_id, attempt_id=attempt_id, collector=collector)
            self._followed[attempt_id] = (self._sampler.add(source), collector)
        self._seen = frozenset(now)
