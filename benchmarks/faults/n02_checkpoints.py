"""N2: what checkpoints cost at the interval that is chosen, and how much work a fault makes one do again."""

import os
import random
import signal
import statistics
import time
from pathlib import Path

from benchmarks.faults.calls import crunches, steps
from benchmarks.faults.local_case import executor_on, process_of, resources, seen, until
from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.faults.witness import Witness

ID = "N2"
RUNS = {Tier.QUICK: 2, Tier.SOAK: 40}

_STEP_S, _STEPS = 0.05, 100
_ARRAY, _CRUNCHES = 1_000_000, 1500  # a state of 8 MB


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Compute with a state of 8 MB; then kill workers at random instants of a stepwise computation."""
    chance = random.Random(seed)
    told, shares = _overheads(max(1, runs // 2), folder / "overhead")
    redone_s, allowed_s, after = _faults(runs, chance, folder / "faults")
    beyond_s = [redone - allowed for redone, allowed in zip(redone_s, allowed_s, strict=True)]
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="checkpoints at the chosen interval",
        redone_s=tuple(redone_s),
        lost=told.lost() + after.lost(),
        duplicated=told.doubled + told.stale + after.doubled + after.stale,
        figures=(
            Bar(
                name="overhead",
                value=100 * statistics.median(shares),
                unit="%",
                bar=3.5,
                peer="CheckFreq",
                peer_value=3.5,
            ),
            Bar(name="redone_beyond_allowed", value=max(beyond_s), unit="s", bar=0.0),
        ),
        extra={"sealed": float(len(told.sealed)), "interval_s": _interval_s(told)},
    )


def _overheads(runs: int, folder: Path) -> tuple[Witness, list[float]]:
    """Return for each run the share of its own clock that went into writing checkpoints."""
    folder.mkdir()
    with executor_on(folder, resources(1)) as executor:
        futures = [executor.submit(crunches, _CRUNCHES, _ARRAY) for _ in range(runs)]
        for future in futures:
            future.result(300)
    told = seen(folder)
    shares = []
    for future in futures:
        writes_s = sum(event.write_s or 0.0 for event in told.sealed if event.attempt_id == f"{future.job_id}.1")
        (end,) = [event for event in told.ended if event.attempt_id == f"{future.job_id}.1"]
        shares.append(writes_s / end.usage.wall_s)
    return told, shares


def _faults(runs: int, chance: random.Random, folder: Path) -> tuple[list[float], list[float], Witness]:
    """Kill the worker of each job once; return the seconds of steps that were taken twice, and those allowed."""
    folder.mkdir()
    redone_s, job_ids = [], []
    with executor_on(folder, resources(2)) as executor:
        for number in range(runs):
            note = folder / f"note-{number}"
            future = executor.submit(steps, _STEPS, _STEP_S, str(note))
            pid = process_of(executor, future.job_id)
            until(note.exists)
            time.sleep(chance.uniform(0.3, 0.8) * _STEPS * _STEP_S)
            os.kill(pid, signal.SIGKILL)
            assert future.result(60) == _STEPS
            taken = note.read_text().split()
            redone_s.append((len(taken) - len(set(taken))) * _STEP_S)
            job_ids.append(future.job_id)
    told = seen(folder)
    allowed_s = [
        (told.attempts_of(job_id)[0].placement.checkpoint_every_s or 0.0) + _STEP_S + 1.0 for job_id in job_ids
    ]
    return redone_s, allowed_s, told


def _interval_s(told: Witness) -> float:
    return float(told.started[-1].placement.checkpoint_every_s or 0.0)
