"""The measuring loop of micro-probes: how long, how often, by which clock, and what is kept of the repeats.

A probe is a small piece of real work of known amount. What the pieces are stands in the `probe_*` modules; this
module imports nothing heavy and knows no particular probe.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from statistics import median

Step = Callable[[], float]
"""Does one bit of work and returns how much of it was done, in the probe's unit."""


class Clock(Enum):
    """Is the clock whose seconds a probe divides by."""

    CPU = "cpu"  # processor time of the probing process: does not count waiting for a core
    WALL = "wall"  # elapsed time: for disks, messages and processes, where waiting is the quantity


class Form(Enum):
    """Is how a probe's value is quoted."""

    RATE = "rate"  # amount per second: more is faster
    DURATION = "duration"  # seconds per unit of amount: less is faster


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One micro-probe; `setup` imports what it needs, enters what must be cleaned up on the stack, warms up once."""

    key: str
    setup: Callable[[ExitStack], Step]
    clock: Clock = Clock.CPU
    form: Form = Form.RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """The amount done in one repeat and the seconds it took by both clocks."""

    amount: float
    cpu_s: float
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long probing may take: `rounds` repeats of `repeat_s` each by the probe's clock, at most `stretch` times
    that in elapsed time when others keep the core, and `limit_s` elapsed for all of them, setting up apart."""

    rounds: int = 3
    repeat_s: float = 0.03
    stretch: float = 3.0
    limit_s: float = 6.0


def measure(step: Step, clock: Clock, repeat_s: float, limit_s: float) -> Repeat:
    """Return one repeat: steps are taken until the clock reads `repeat_s` or `limit_s` have elapsed."""
    amount = 0.0
    wall_start_s, cpu_start_s = time.perf_counter(), time.thread_time()
    while True:
        amount += step()
        cpu_s, wall_s = time.thread_time() - cpu_start_s, time.perf_counter() - wall_start_s
        if (cpu_s if clock is Clock.CPU else wall_s) >= repeat_s or wall_s >= limit_s:
            return Repeat(amount=amount, cpu_s=cpu_s, wall_s=wall_s)


def run(probes: Sequence[Probe], pace: Pace = Pace()) -> tuple[dict[str, float], dict[str, str]]:
    """Return the readings of all probes, and the reason for each probe that could not run.

    Repeats of one probe are separated by a round of all others, so that a burst of foreign load spoils one repeat of
    many probes and not all repeats of one.
    """
    repeats: dict[str, list[Repeat]] = {probe.key: [] for probe in probes}
    with _prepared(probes) as (steps, refused):
        began_s = time.perf_counter()
        for _ in range(pace.rounds):
            for probe in probes:
                if probe.key in steps:
                    repeat_s = _allowed_s(pace, began_s, sum(map(len, repeats.values())), len(steps))
                    repeats[probe.key].append(measure(steps[probe.key], probe.clock, repeat_s, repeat_s * pace.stretch))
    readings: dict[str, float] = {}
    for probe in probes:
        if repeats[probe.key]:
            readings.update(_reading(probe, repeats[probe.key]))
    return readings | _contention(probes, repeats), refused


@contextmanager
def _prepared(probes: Sequence[Probe]) -> Iterator[tuple[dict[str, Step], dict[str, str]]]:
    """Yield the steps of the probes that can run here and the reasons of those that cannot; clean up after."""
    steps: dict[str, Step] = {}
    refused: dict[str, str] = {}
    with ExitStack() as stack:
        for probe in probes:
            try:
                steps[probe.key] = probe.setup(stack)
            except (ImportError, OSError, RuntimeError, MemoryError, ValueError) as error:
                refused[probe.key] = f"{type(error).__name__}: {error}"
        yield steps, refused


def _allowed_s(pace: Pace, began_s: float, done: int, probes: int) -> float:
    """Return the seconds of the next repeat: shorter once the elapsed time runs short, so that all get their turn."""
    left = max(pace.rounds * probes - done, 1)
    left_s = pace.limit_s - (time.perf_counter() - began_s)
    return min(pace.repeat_s, max(left_s / left, 0.001))


def _reading(probe: Probe, repeats: Sequence[Repeat]) -> dict[str, float]:
    """Return the median by the probe's clock, its spread ((max - min) / median) and the best by the wall clock."""
    seconds = [r.cpu_s if probe.clock is Clock.CPU else r.wall_s for r in repeats]
    values = [_quoted(probe.form, r.amount, s) for r, s in zip(repeats, seconds, strict=True)]
    walls = [_quoted(probe.form, r.amount, r.wall_s) for r in repeats]
    middle = median(values)
    return {
        probe.key: middle,
        f"{probe.key}_spread": (max(values) - min(values)) / middle,
        f"{probe.key}_wall": max(walls) if probe.form is Form.RATE else min(walls),
    }


def _quoted(form: Form, amount: float, seconds: float) -> float:
    seconds = max(seconds, 1e-9)  # a clock of coarse grain may read zero
    return amount / seconds if form is Form.RATE else seconds / amount


def _contention(probes: Sequence[Probe], repeats: Mapping[str, Sequence[Repeat]]) -> dict[str, float]:
    """Return elapsed over processor time of all repeats on the CPU clock together: 1 when alone."""
    on_core = [r for p in probes if p.clock is Clock.CPU for r in repeats[p.key]]
    cpu_s = sum(r.cpu_s for r in on_core)
    return {"contention": sum(r.wall_s for r in on_core) / cpu_s} if cpu_s > 0 else {}
