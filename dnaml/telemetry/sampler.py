"""Polls collectors at a period, from one thread, into the sample store.

A collector that raises is dropped from the round and counted; telemetry never stops the work it watches.
"""

import logging
import math
import os
import select
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from dnaml.core.errors import StateFolderError
from dnaml.core.protocols import Collector
from dnaml.core.types import Sample
from dnaml.datasets.samples import SampleStore
from dnaml.telemetry.background import Background

_LOG = logging.getLogger(__name__)
_SLEPT_S = 0.2
"""Pauses up to this long are slept through: a sleep costs less than a wait that `stop` can end early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One collector and the resource and attempt that its samples belong to."""

    resource_id: str
    attempt_id: str | None
    collector: Collector


class Sampler(Background):
    """A thread that samples every source each `period_s` and writes each `flush_s`; sources come and go at any time.

    `cost_s` is the processor time that the thread has used.
    """

    def __init__(
        self,
        store: SampleStore,
        *,
        period_s: float = 1.0,
        flush_s: float = 10.0,
        clock: Callable[[], float] = time.time,
        before_round: Callable[[], None] | None = None,
    ) -> None:
        """Prepare; nothing runs before `start`. `before_round` may add and remove sources."""
        self._store = store
        self._period_s = period_s
        self._flush_s = flush_s
        self._clock = clock
        self._before_round = before_round
        self._sources: dict[int, Source] = {}
        self._round: tuple[tuple[int, Source, Callable[[], Mapping[str, float]]], ...] = ()
        self._taken: list[tuple[Source, float, Mapping[str, float]]] = []
        self._lock = threading.Lock()
        self._wake_read, self._wake_write = os.pipe()  # waking from poll costs half of what waking from an Event does
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="dnaml-sampler", daemon=True)
        self._next_key = 0
        self.cost_s = 0.0
        self.samples_taken = 0
        self.errors = 0

    def add(self, source: Source) -> int:
        """Sample this source from the next round on, and return the key that removes it."""
        with self._lock:
            self._next_key += 1
            self._sources[self._next_key] = source
            self._line_up()
            return self._next_key

    def remove(self, key: int) -> None:
        """Sample this source no more; an unknown key is ignored, since a source may have ended by itself."""
        with self._lock:
            self._sources.pop(key, None)
            self._line_up()

    def start(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the thread and write what it has."""
        if not self._stopping:
            self._stopping = True
            os.write(self._wake_write, b"x")
            if self._thread.is_alive():
                self._thread.join()
            os.close(self._wake_read)
            os.close(self._wake_write)
        self.flush()

    def flush(self) -> None:
        """Check and store what was sampled; a disk that refuses is counted and costs these rows."""
        taken, self._taken = self._taken, []
        try:
            self._store.extend(
                Sample(resource_id=source.resource_id, attempt_id=source.attempt_id, at_s=at_s, metrics=metrics)
                for source, at_s, metrics in taken
            )
            self._store.flush()
        except StateFolderError as error:
            self.errors += 1
            _LOG.warning("%s", error)

    def poll(self) -> int:
        """Sample every source once, now, and return how many samples were taken; `flush` checks and stores them."""
        if self._before_round is not None:
            self._before_round()
        at_s = self._clock()
        taken = 0
        for key, source, sample in self._round:
            try:
                metrics = sample()
            except Exception as error:  # noqa: BLE001 - an edge: a user's collector must not stop the others
                self.errors += 1
                self.remove(key)
                _LOG.warning("telemetry of %s stopped: %r", source.resource_id, error)
                continue
            if metrics:
                self._taken.append((source, at_s, metrics))  # in one go later: code that runs often costs less
                taken += 1
        self.samples_taken += taken
        return taken

    def _line_up(self) -> None:
        """Make what a round goes through: each source's method found once, since a round's code runs cold."""
        self._round = tuple((key, source, source.collector.sample) for key, source in self._sources.items())

    def _run(self) -> None:
        began_s = time.thread_time()
        due_s = written_s = time.monotonic()
        wake = select.poll()
        wake.register(self._wake_read, select.POLLIN)
        while not self._stopping:
            self.poll()
            now_s = time.monotonic()
            if now_s - written_s >= self._flush_s:
                self.flush()
                written_s = now_s
                self.cost_s = time.thread_time() - began_s
            due_s += self._period_s
            if due_s <= now_s:
                due_s = now_s  # a round that came late moves the ones after it
            elif due_s - now_s <= _SLEPT_S:
                time.sleep(due_s - now_s)
            else:
                wake.poll(math.ceil((due_s - now_s) * 1000))
        self.cost_s = time.thread_time() - began_s
