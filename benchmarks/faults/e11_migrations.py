"""E11: work moves while its target refuses, or either side is killed; the source keeps its place until the other began.

Targets refuse in that no process can start there; sides are killed at random instants of the hand-over.
"""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from benchmarks.faults.calls import steps
from benchmarks.faults.local_case import executor_on, now_s, process_of, resources, seen, until
from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.faults.witness import Witness
from dnaml.client import Executor
from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState
from dnaml.core.work import Constraints, Resilience

ID = "E11"
RUNS = {Tier.QUICK: 6, Tier.SOAK: 150}
_STEPS, _STEP_S, _EVERY_S = 24, 0.05, 0.1
_BROKEN = {"PYTHONHOME": "/nonexistent"}


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Move one job after the other, a third to a place that refuses, and kill source or target of the others."""
    chance = random.Random(seed)
    left, right, broken = resources(3)
    pool = (left, right, replace(broken, environment=_BROKEN))
    kinds: tuple[Callable[[Executor, str, random.Random], None], ...] = (_refused, _source_dies, _target_dies)
    notes: dict[str, Path] = {}
    undisturbed = []
    with executor_on(folder, pool) as executor:
        for number in range(runs):
            note = folder / f"note-{number}"
            able = Constraints(resource_ids=("r0", "r1", "r2") if number % 3 == 0 else ("r0", "r1"))
            submit = executor.options(resilience=Resilience(checkpoint_every_s=_EVERY_S), constraints=able).submit
            future = submit(steps, _STEPS, _STEP_S, str(note))
            notes[future.job_id] = note
            until(lambda note=note: note.exists() and len(note.read_text().split()) >= 4)  # type: ignore[misc]
            kinds[number % 3](executor, future.job_id, chance)
            assert future.result(60) == _STEPS
            if number % 3 == 0:
                undisturbed.append(future.job_id)
    told = seen(folder)
    redone = [len(note.read_text().split()) - _STEPS for note in notes.values()]
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="a side of a migration refuses or dies",
        redone_s=tuple(count * _STEP_S for count in redone),
        lost=told.lost(notes),
        duplicated=told.doubled + told.stale,
        figures=(
            Bar(name="work_redone_most", value=max(redone) * _STEP_S, unit="s", bar=_EVERY_S + _STEP_S + 1.0),
            Bar(name="disturbed_by_a_refusal", value=float(_disturbed(told, undisturbed)), unit="jobs", bar=0.0),
        ),
    )


def _disturbed(told: Witness, job_ids: list[str]) -> int:
    """Return how many jobs did not end where they were though their target never began."""
    ended = {event.attempt_id: event.outcome for event in told.ended}
    return sum(ended[f"{job_id}.1"] is not AttemptState.DONE for job_id in job_ids)


def _move(executor: Executor, job_id: str, target: str | None) -> str:
    """Ask for a move, to the other sound place where none is named; return the target."""
    source = next(where for name, (where, _) in executor.running().items() if name.startswith(job_id))
    target = target or {"r0": "r1", "r1": "r0"}[source]
    executor._engine.post(ev.MigrateRequested(at_s=now_s(executor), job_id=job_id, resource_id=target))
    return target


def _refused(executor: Executor, job_id: str, chance: random.Random) -> None:
    _move(executor, job_id, "r2")


def _source_dies(executor: Executor, job_id: str, chance: random.Random) -> None:
    pid = process_of(executor, job_id)
    _move(executor, job_id, None)
    time.sleep(chance.uniform(0.0, 0.2))
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _target_dies(executor: Executor, job_id: str, chance: random.Random) -> None:
    target = _move(executor, job_id, None)

    def begun() -> int | None:
        running = executor.running().items()
        return next((pid for name, (where, pid) in running if name.startswith(job_id) and where == target), None)

    pid = until(begun)
    time.sleep(chance.uniform(0.0, 0.05))
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
