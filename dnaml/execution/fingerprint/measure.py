"""Fingerprints a computation: from what is known of it, else by a bounded pilot; what the caller declares wins."""

import logging
import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from typing import Any

from dnaml.core.errors import InputError, UnpicklableError
from dnaml.core.protocols import Run
from dnaml.core.types import Computation
from dnaml.execution.callables import parameter_names, unwrapped
from dnaml.execution.fingerprint.demand import Seen, demand_of, extrapolated
from dnaml.execution.fingerprint.known import known_demand
from dnaml.execution.fingerprint.naming import Declared, computation_of
from dnaml.execution.fingerprint.pages import PAGE_BYTES, PageWatch
from dnaml.execution.fingerprint.pilot import Outcome, Pilot
from dnaml.execution.fingerprint.reports import Order, Report, Task
from dnaml.execution.fingerprint.scaling import Scale, scaled

DEMANDS = (
    "cpu_share", "gpu_share", "parallelism", "parallel_share", "fp64_share", "fp32_share", "low_precision_share",
    "sequential_share", "random_share", "random_share_confidence", "flop", "fp64_flop", "fp32_flop",
    "low_precision_flop", "read_bytes", "written_bytes", "transferred_bytes", "working_set_bytes",
    "peak_memory_bytes", "checkpoint_bytes",
)  # fmt: skip
"""Names every demand that a fingerprint may hold."""

_REPEAT_SHARE = 0.3  # a run that took at most this share of what is left of the budget is run again
_WATCH_FROM = 0.23  # share of the budget after which the first run, too long to be run again, is watched by page
_YARDSTICK_S = 5.0
_log = logging.getLogger(__name__)


class Source(Enum):
    """Is where a fingerprint comes from."""

    HISTORY = "history"  # runs of this very computation
    PILOT = "pilot"  # a bounded run made for it
    NOTHING = "nothing"  # its name and sizes alone, and what its author declared


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """A computation with its demands, and how they came about. `masked` names the demands that are not known."""

    computation: Computation
    source: Source
    outcome: Outcome
    message: str
    wall_s: float
    masked: tuple[str, ...]
    notes: tuple[str, ...] = ()


def fingerprint(
    fn: Callable[..., Any],
    *args: Any,  # Any: the arguments of the function are its own affair
    pilot: bool = True,
    scale: Scale | None = None,
    budget_s: float = 3.0,
    declared: Declared | None = None,
    history: Iterable[Run] | None = None,
    **kwargs: Any,
) -> Computation:
    """Return the computation that `fn(*args, **kwargs)` is, with what it demands.

    From `history` if it ran before, else from a pilot: `fn` runs, more than once if it is short, for at most
    `budget_s` seconds in its own process, folder and temporary folder, and is then killed with all it started. What it
    does elsewhere cannot be undone: `pilot=False` runs nothing. `scale` makes the pilot smaller: a fraction (of
    sequences and arrays, else of whole numbers), fractions by parameter, or a function from (args, kwargs) to smaller
    ones; amounts are then extrapolated from two steps. `declared` wins over what is measured.

    >>> fingerprint(sorted, [3, 1, 2], pilot=False, declared={"parallelism": 1}).demand
    {'parallelism': 1.0}
    """
    found = measured(fn, args, kwargs, pilot=pilot, scale=scale, budget_s=budget_s, declared=declared, history=history)
    if found.outcome not in (Outcome.RETURNED, Outcome.CUT_OFF, Outcome.NOT_RUN):
        _log.warning("pilot of %s: %s", found.computation.kernel, found.message)
    return found.computation


def measured(
    fn: Callable[..., Any],
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    pilot: bool = True,
    scale: Scale | None = None,
    budget_s: float = 3.0,
    declared: Declared | None = None,
    history: Iterable[Run] | None = None,
    memory_bytes: int | None = None,
) -> Fingerprint:
    """Return a fingerprint with the story of how it was made; `fingerprint` says what the parameters mean.

    A pilot that raises, exits or crashes is reported in `outcome` and `message`, never raised.
    """
    if not 0 < budget_s < float("inf"):
        raise InputError(f"fingerprint: budget_s must be positive, got {budget_s}")
    started_s = time.monotonic()
    kwargs = dict(kwargs or {})
    computation = computation_of(fn, args, kwargs, name=name, declared=declared)
    known = known_demand(computation, history) if history is not None else {}
    if known or not pilot:
        source = Source.HISTORY if known else Source.NOTHING
        return _told(computation, known, source, Outcome.NOT_RUN, "", started_s, ())
    try:
        story = _pilots(fn, tuple(args), kwargs, scale, budget_s, memory_bytes)
    except UnpicklableError as error:
        return _told(computation, {}, Source.NOTHING, Outcome.NOT_STARTED, str(error), started_s, ())
    source = Source.PILOT if story.demand else Source.NOTHING
    return _told(computation, story.demand, source, story.outcome, story.message, started_s, tuple(story.notes))


def _told(
    computation: Computation,
    demand: Mapping[str, float],
    source: Source,
    outcome: Outcome,
    message: str,
    started_s: float,
    notes: tuple[str, ...],
) -> Fingerprint:
    whole = {**demand, **computation.demand}  # the latter holds what was declared
    return Fingerprint(
        computation=replace(computation, demand=whole),
        source=source,
        outcome=outcome,
        message=message,
        wall_s=time.monotonic() - started_s,
        masked=tuple(key for key in DEMANDS if key not in whole),
        notes=notes,
    )


@dataclass(slots=True, kw_only=True)
class _Story:
    demand: dict[str, float]
    outcome: Outcome
    message: str
    notes: list[str]


def _pilots(
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    scale: Scale | None,
    budget_s: float,
    memory_bytes: int | None,
) -> _Story:
    """Run one pilot, or with `scale` one of a step smaller and one of two steps."""
    if scale is None:
        return _one_pilot(fn, args, kwargs, budget_s, memory_bytes)
    names = parameter_names(unwrapped(fn, (), {})[0])
    once = scaled(scale, args, kwargs, names)
    larger = _one_pilot(fn, *once, budget_s / 2, memory_bytes)
    larger.notes.append("measured at a smaller size")
    if larger.outcome is not Outcome.RETURNED:
        return larger
    smaller = _one_pilot(fn, *scaled(scale, *once, names), budget_s / 2, memory_bytes)
    if smaller.outcome is Outcome.RETURNED:
        larger.notes.append("amounts extrapolated from two smaller sizes")
        larger.demand = extrapolated(smaller.demand, larger.demand)
    else:
        larger.demand = extrapolated({}, larger.demand)
    return larger


def _one_pilot(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], budget_s: float, memory_bytes: int | None
) -> _Story:
    with Pilot(fn, args, kwargs, memory_bytes=memory_bytes) as pilot:
        if not pilot.ready():
            return _Story(demand={}, outcome=pilot.outcome, message=pilot.message, notes=[])
        runs = _Runs(pilot, budget_s)
        runs.first()
        outcome, message = pilot.outcome, pilot.message
        if outcome is Outcome.RETURNED:
            runs.again()
        demand = demand_of(runs.seen()) if outcome in (Outcome.RETURNED, Outcome.CUT_OFF) else {}
        tree = dict(pilot.tree)
    notes = [f"left {pilot.killed_processes} processes behind, which were killed"] if pilot.killed_processes else []
    if tree and outcome is Outcome.CUT_OFF:
        notes.append(f"used {tree.get('peak_memory_bytes', 0.0) / 2**20:.0f} MiB of memory until it was cut off")
    return _Story(demand=demand, outcome=outcome, message=message, notes=notes)


class _Runs:
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
        while len(self._rates) < 20 and self._fits(self.narrow.wall_s):
            watch = PageWatch(self._pilot.pid)
            seen = self._run(Order(task=Task.CALL, small_pages=True), watch.window)
            self._keep_samples(seen)
            self._rates += watch.rates
            if seen is None or not watch.rates:
                break

    def seen(self) -> Seen:
        """Return everything these runs showed."""
        assert self.narrow is not None
        stream, random = _yardsticks() if self._rates else (None, None)
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
def _yardsticks() -> tuple[float | None, float | None]:
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
