"""Decides which runs a pilot makes of a function within its budget, and gathers what they showed.

The first run is a warm-up for what is short and the only one for what is long. Short functions run again: warm, with
all cores, and watched by page.
"""

import os
import statistics
import time
from collections.abc import Callable
from functools import cache

from dnaml.execution.fingerprint.demand import Seen
from dnaml.execution.fingerprint.pages import PAGE_BYTES, PageWatch
from dnaml.execution.fingerprint.pilot import Outcome, Pilot
from dnaml.execution.fingerprint.reports import Order, Report, Task

_REPEAT_SHARE = 0.3  # a run that took at most this share of what is left of the budget is run again
_WATCH_FROM = 0.23  # share of the budget after which the first run, too long to be run again, is watched by page
_YARDSTICK_S = 5.0
_ENOUGH_WINDOWS = 20


class Runs:
    """The runs of one pilot, as many and as different as its budget allows."""

    def __init__(self, pilot: Pilot, budget_s: float) -> None:
        self.narrow: Report | None = None
        self._pilot = pilot
        self._started_s = time.monotonic()
        self._end_s = self._started_s + budget_s
        self._watch_from_s = self._started_s + budget_s * _WATCH_FROM
        self._wide: Report | None = None
        self._working_set_bytes: float | None = None
        self._rates: list[float] = []
        self._frozen_s = 0.0
        self._ended = False
        self._tree: dict[str, float] = {}

    def first(self) -> None:
        """Run once, with one thread; a run too long to be run again is watched by page from then on."""
        watch = PageWatch(self._pilot.pid)
        counts = watch.clear()

        def tick() -> None:
            if time.monotonic() > self._watch_from_s:
                watch.window()
            elif counts:
                watch.look()

        order = Order(task=Task.CALL)
        self.narrow = self._pilot.run(order, until_s=self._end_s, tick=tick)
        if self.narrow is None:
            return
        self._ended = self.narrow.ended
        self._rates, self._frozen_s = watch.rates, watch.frozen_s
        self._tree = dict(self._pilot.tree)
        if counts and self._ended:
            self._note_working_set(watch, self.narrow)

    def again(self) -> None:
        """Run again what is short: warm, with all cores, and watched by page. Later runs can only add."""
        assert self.narrow is not None
        if self._fits(self.narrow.wall_s):
            watch = PageWatch(self._pilot.pid)
            counts = watch.clear()
            warm = self._run(Order(task=Task.CALL), watch.look if counts else None)
            if warm is not None:
                self._keep_counts(warm)
                self._frozen_s = 0.0
                if counts:
                    self._note_working_set(watch, warm)
        cores = _cores()
        if cores > 1 and self._fits(self.narrow.wall_s):
            self._wide = self._run(Order(task=Task.CALL, threads=cores))
            self._keep_samples(self._wide)
        while len(self._rates) < _ENOUGH_WINDOWS and self._fits(self.narrow.wall_s):
            watch = PageWatch(self._pilot.pid)
            seen = self._run(Order(task=Task.CALL, small_pages=True), watch.window)
            self._keep_samples(seen)
            self._rates += watch.rates
            if seen is None or not watch.rates:
                break

    def seen(self) -> Seen:
        """Return everything these runs showed."""
        assert self.narrow is not None
        stream, random = yardsticks() if self._rates else (None, None)
        return Seen(
            narrow=self.narrow,
            ended=self._ended,
            cores=_cores(),
            wide=self._wide,
            frozen_s=self._frozen_s,
            working_set_bytes=self._working_set_bytes,
            page_rates=tuple(self._rates),
            sequential_rate=stream,
            random_rate=random,
            tree=self._tree,
        )

    def _fits(self, wall_s: float) -> bool:
        return wall_s <= _REPEAT_SHARE * (self._end_s - time.monotonic())

    def _run(self, order: Order, tick: Callable[[], object] | None = None) -> Report | None:
        report = self._pilot.run(order, until_s=self._end_s, tick=tick)
        return report if report is not None and report.ended and self._pilot.outcome is Outcome.RETURNED else None

    def _note_working_set(self, watch: PageWatch, report: Report) -> None:
        """Note the most memory that was seen touched; what became resident in the run was touched too."""
        pages = watch.touched_pages()
        if pages is not None:
            grown_bytes = report.peak_memory_bytes - report.start_memory_bytes
            self._working_set_bytes = max(float(max(pages, watch.most_pages or 0) * PAGE_BYTES), grown_bytes)

    def _keep_samples(self, other: Report | None) -> None:
        """Add the samples of another run: short runs have few each."""
        if other is not None and self.narrow is not None:
            self.narrow.samples += other.samples
            kinds = self.narrow.precision.keys() | other.precision.keys()
            both = (self.narrow.precision, other.precision)
            self.narrow.precision = {kind: sum(one.get(kind, 0.0) for one in both) for kind in kinds}

    def _keep_counts(self, warm: Report) -> None:
        """Take a warm run for the measure, with what only the first run showed: samples, a checkpoint."""
        assert self.narrow is not None
        self.narrow, first = warm, self.narrow
        self._keep_samples(first)
        if not warm.checkpoint_bytes:
            warm.checkpoint_bytes = first.checkpoint_bytes
        for name in ("read_bytes", "written_bytes"):
            values = [value for value in (getattr(first, name), getattr(warm, name)) if value is not None]
            setattr(warm, name, min(values) if values else None)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def yardsticks() -> tuple[float | None, float | None]:
    """Return touched pages per second of a stream and of random reads on this machine; measured once per process."""
    with Pilot(int, (), {}) as pilot:
        if not pilot.ready():
            return None, None
        return _yardstick(pilot, Task.SEQUENTIAL), _yardstick(pilot, Task.RANDOM)


def _yardstick(pilot: Pilot, task: Task) -> float | None:
    watch = PageWatch(pilot.pid)
    order = Order(task=task, small_pages=True)
    pilot.run(order, until_s=time.monotonic() + _YARDSTICK_S, tick=watch.window)
    if len(watch.rates) < 5:
        return None
    return statistics.median(sorted(watch.rates)[len(watch.rates) // 3 :])  # the lowest third is from filling the table
