"""A15: one computation forks, another opens files, both without end; limits hold them, and decisions cost the same."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.faults.calls import forks_without_end, opens_without_end, waits
from benchmarks.faults.local_case import executor_on, resources, seen
from benchmarks.faults.outcome import Bar, Outcome, Tier, percentile
from dnaml.client import Executor
from dnaml.execution.limits import Containment, Kind
from dnaml.execution.local import LocalSettings

ID = "A15"
RUNS = {Tier.QUICK: 1, Tier.SOAK: 10}

_PIDS, _FILES = 48, 256
_BOMB_S, _NOOPS = 4.0, 400


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Time the controller's decisions about small work, without and beside the bombs."""
    with Containment.open("a15-look", pids=_PIDS) as held:
        kind = held.kind
    if kind is Kind.WATCH:
        return Outcome(id=ID, seed=seed, runs=0, what="fork bomb", skipped="no control group can be made here")
    limits = LocalSettings(pids=_PIDS, open_files=_FILES)
    calm: list[float] = []
    beside: list[float] = []
    forked = opened = 0
    with executor_on(folder, resources(4), local=limits, cores=4) as executor:
        _noops(executor)
        for _ in range(runs):
            with _decisions(executor, calm):
                _noops(executor)
            bombs = [executor.submit(forks_without_end, _BOMB_S), executor.submit(opens_without_end, _BOMB_S)]
            with _decisions(executor, beside):
                _noops(executor)
            forked, opened = max(forked, bombs[0].result(60)), max(opened, bombs[1].result(60))
    told = seen(folder)
    before_s, after_s = (percentile(tuple(found), 0.99) or 0.0 for found in (calm, beside))
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="a fork bomb and a flood of open files",
        lost=told.lost(),
        duplicated=told.doubled + told.stale,
        figures=(
            Bar(name="decision_p99_over_calm", value=after_s / before_s, unit="x", bar=1.2),
            Bar(name="children_at_most", value=float(forked), unit="", bar=float(_PIDS)),
            Bar(name="files_at_most", value=float(opened), unit="", bar=float(_FILES)),
            Bar(name="false_node_deaths", value=float(len(told.lost_attempts())), unit="", bar=0.0),
        ),
        extra={"calm_p99_ms": before_s * 1e3, "beside_p99_ms": after_s * 1e3},
    )


def _noops(executor: Executor) -> None:
    for number in range(_NOOPS):
        assert executor.submit(waits, 0.0, number).result(60) == number


@contextmanager
def _decisions(executor: Executor, found_s: list[float]) -> Iterator[None]:
    """Note the processor time of every event that the controller handles."""
    controller = executor._engine.controller
    handle = controller.handle

    def timed(event: object) -> object:
        begin_s = time.thread_time()
        commands = handle(event)  # type: ignore[arg-type]  # whatever the loop gives it
        found_s.append(time.thread_time() - begin_s)
        return commands

    controller.handle = timed  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        controller.handle = handle  # type: ignore[method-assign]
