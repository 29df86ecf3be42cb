"""Fingerprints a computation: from what is known of it, else by a bounded pilot; what the caller declares wins."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from dnaml.core.errors import InputError, UnpicklableError
from dnaml.core.protocols import Run
from dnaml.core.types import Computation
from dnaml.execution.callables import parameter_names, unwrapped
from dnaml.execution.fingerprint.demand import demand_of, extrapolated
from dnaml.execution.fingerprint.known import known_demand
from dnaml.execution.fingerprint.naming import Declared, computation_of
from dnaml.execution.fingerprint.pilot import Outcome, Pilot
from dnaml.execution.fingerprint.runs import Runs
from dnaml.execution.fingerprint.scaling import Scale, scaled

DEMANDS = (
    "cpu_share", "gpu_share", "parallelism", "parallel_share", "fp64_share", "fp32_share", "low_precision_share",
    "sequential_share", "random_share", "random_share_confidence", "flop", "fp64_flop", "fp32_flop",
    "low_precision_flop", "read_bytes", "written_bytes", "transferred_bytes", "working_set_bytes",
    "peak_memory_bytes", "checkpoint_bytes",
)  # fmt: skip
"""Names every demand that a fingerprint may hold."""

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

    >>> import dnaml
    >>> dnaml.fingerprint(sorted, [3, 1, 2], pilot=False, declared={"parallelism": 1}).demand
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
    kwargs = dict(kwargs or {})
    computation = computation_of(fn, args, kwargs, name=name, declared=declared)
    call = Call(fn=fn, args=tuple(args), kwargs=kwargs, scale=scale, budget_s=budget_s, memory_bytes=memory_bytes)
    return measured_call(computation, call, pilot=pilot, history=history)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a pilot runs, and within which limits."""

    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    scale: Scale | None = None
    budget_s: float = 3.0
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        """Raise InputError on a budget that is none."""
        if not 0 < self.budget_s < float("inf"):
            raise InputError(f"fingerprint: budget_s must be positive, got {self.budget_s}")


def measured_call(computation: Computation, call: Call, *, pilot: bool, history: Iterable[Run] | None) -> Fingerprint:
    """Return the fingerprint of a computation whose name and sizes are known already."""
    started_s = time.monotonic()
    known = known_demand(computation, history) if history is not None else {}
    if known or not pilot:
        source = Source.HISTORY if known else Source.NOTHING
        return _told(computation, known, source, Outcome.NOT_RUN, "", started_s, ())
    try:
        story = _pilots(call)
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


def _pilots(call: Call) -> _Story:
    """Run one pilot, or with `scale` one of a step smaller and one of two steps."""
    if call.scale is None:
        return _one_pilot(call)
    names = parameter_names(unwrapped(call.fn, (), {})[0])
    args, kwargs = scaled(call.scale, call.args, call.kwargs, names)
    once = replace(call, args=args, kwargs=kwargs, budget_s=call.budget_s / 2)
    larger = _one_pilot(once)
    larger.notes.append("measured at a smaller size")
    if larger.outcome is not Outcome.RETURNED:
        return larger
    args, kwargs = scaled(call.scale, args, kwargs, names)
    smaller = _one_pilot(replace(once, args=args, kwargs=kwargs))
    if smaller.outcome is Outcome.RETURNED:
        larger.notes.append("amounts extrapolated from two smaller sizes")
        larger.demand = extrapolated(smaller.demand, larger.demand)
    else:
        larger.demand = extrapolated({}, larger.demand)
    return larger


def _one_pilot(call: Call) -> _Story:
    with Pilot(call.fn, call.args, call.kwargs, memory_bytes=call.memory_bytes) as pilot:
        if not pilot.ready():
            return _Story(demand={}, outcome=pilot.outcome, message=pilot.message, notes=[])
        runs = Runs(pilot, call.budget_s)
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
