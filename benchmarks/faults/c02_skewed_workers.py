"""C2: workers whose wall clocks are half a minute ahead and behind; order comes from the engine, not from them."""

import os
import signal
from dataclasses import replace
from pathlib import Path

from benchmarks.faults.c01_wall_clock import spans_s
from benchmarks.faults.calls import steps
from benchmarks.faults.local_case import executor_on, misplaced, process_of, resources, samples, seen, until
from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.faults.wall_clock import NO_COMPILER, WallClock
from dnaml.core.work import Resilience

ID = "C2"
RUNS = {Tier.QUICK: 3, Tier.SOAK: 50}

_WHAT = "workers whose clocks differ by a minute"
_SKEWS_S = (30, -30)
_STEPS, _STEP_S = 16, 0.05
_SLACK_S = 20.0  # less than the skew: what a busy machine may add to a duration


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Let each job save under one clock, kill its worker, and let it go on from there under the other clock."""
    if NO_COMPILER:
        return Outcome(id=ID, seed=seed, runs=0, what=_WHAT, skipped=NO_COMPILER)
    pool = []
    for number, resource in enumerate(resources(2)):
        clock = WallClock(folder, f"worker-{number}")
        clock.shift(_SKEWS_S[number])
        pool.append(replace(resource, environment=clock.variables))
    redone = 0
    with executor_on(folder, tuple(pool), sample_every_s=0.05) as executor:
        saving = executor.options(resilience=Resilience(checkpoint_every_s=0.05))
        for number in range(runs):
            note = folder / f"note-{number}"
            future = saving.submit(steps, _STEPS, _STEP_S, str(note))
            pid = process_of(executor, future.job_id)
            until(lambda note=note: note.exists() and len(note.read_text().split()) >= 6)  # type: ignore[misc]
            os.kill(pid, signal.SIGKILL)
            assert future.result(60) == _STEPS
            redone += len(note.read_text().split()) - _STEPS
    told = seen(folder)
    rows = samples(folder)
    most_s = max(spans_s(told))
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what=_WHAT,
        lost=told.lost(),
        duplicated=told.doubled + told.stale,
        figures=(
            Bar(name="misordered_rows", value=float(misplaced(told, rows)), unit="rows", bar=0.0),
            Bar(name="negative_durations", value=float(sum(s < 0 for s in spans_s(told))), unit="", bar=0.0),
            Bar(name="longest_duration", value=most_s, unit="s", bar=_SLACK_S),
            Bar(name="false_deaths", value=float(len(told.lost_attempts()) - runs), unit="", bar=0.0),
        ),
        extra={"rows": float(len(rows)), "steps_redone": float(redone)},
    )
