"""C1: the wall clock of engine and workers jumps by ten days, both ways; nobody dies of it, no duration is negative."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.faults.calls import steps
from benchmarks.faults.local_case import executor_on, misplaced, resources, samples, seen, until
from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.faults.wall_clock import NO_COMPILER, WallClock
from benchmarks.faults.witness import Witness
from dnaml.core.work import Constraints

ID = "C1"
RUNS = {Tier.QUICK: 2, Tier.SOAK: 20}

_WHAT = "jumps of the wall clock by ten days"
_DAY_S = 86400
_JUMPS_S = (10 * _DAY_S, -10 * _DAY_S, 0)
_STEPS, _STEP_S, _DEADLINE_S = 12, 0.05, 300.0


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Run an engine and its workers under a false wall clock that jumps in the middle of jobs with deadlines."""
    if NO_COMPILER:
        return Outcome(id=ID, seed=seed, runs=0, what=_WHAT, skipped=NO_COMPILER)
    clock = WallClock(folder)
    child = [sys.executable, "-m", "benchmarks.faults.c01_wall_clock", str(folder), str(runs)]
    ended = subprocess.run(child, env={**os.environ, **clock.variables}, capture_output=True, text=True, timeout=600)
    if ended.returncode != 0:
        raise RuntimeError(f"the engine under a false clock failed: {ended.stderr[-2000:]}")
    jumps = json.loads(ended.stdout.splitlines()[-1])
    told = seen(folder)
    durations_s = spans_s(told)
    return Outcome(
        id=ID,
        seed=seed,
        runs=len(jumps),
        what=_WHAT,
        lost=told.lost(),
        duplicated=told.doubled + told.stale,
        figures=(
            Bar(name="false_deaths", value=float(len(told.lost_attempts())), unit="", bar=0.0),
            Bar(name="deadlines_moved", value=float(_ends_without_result(told)), unit="", bar=0.0),
            Bar(name="negative_durations", value=float(sum(value < 0 for value in durations_s)), unit="", bar=0.0),
            Bar(name="longest_duration", value=max(durations_s), unit="s", bar=120.0),
            Bar(name="misordered_rows", value=float(misplaced(told, samples(folder))), unit="rows", bar=0.0),
            Bar(name="jumps_not_seen", value=float(sum(abs(jump) < 5 * _DAY_S for jump in jumps)), unit="", bar=0.0),
        ),
    )


def spans_s(told: Witness) -> list[float]:
    """Return every duration that a journal holds: of attempts, until their checkpoints, and as they said."""
    begun = {event.attempt_id: event.at_s for event in told.started}
    moments = [(event.attempt_id, event.at_s) for event in told.ended]
    moments += [(event.attempt_id, event.at_s) for event in told.sealed]
    spans = [at_s - begun[name] for name, at_s in moments if name in begun]
    return [*spans, *(event.usage.wall_s for event in told.ended)]


def _ends_without_result(told: Witness) -> int:
    return sum(state.name != "SUCCEEDED" for states in told.over.values() for state in states)


def play(folder: Path, runs: int) -> list[float]:
    """Run jobs while the clock jumps; return by how much this process saw it jump each time."""
    clock, jumps = WallClock(folder), []
    with executor_on(folder, resources(2), sample_every_s=0.05) as executor:
        executor.submit(steps, 2, 0.01, str(folder / "note-warm")).result(60)
        timed = executor.options(constraints=Constraints(deadline_s=_DEADLINE_S))
        for number in range(runs):
            notes = [folder / f"note-{number}-{part}" for part in range(2)]
            futures = [timed.submit(steps, _STEPS, _STEP_S, str(note)) for note in notes]
            until(lambda notes=notes: all(note.exists() for note in notes))  # type: ignore[misc]
            before_s = time.time() - time.monotonic()
            clock.shift(_JUMPS_S[number % 2])
            jumps.append(time.time() - time.monotonic() - before_s)
            assert [future.result(60) for future in futures] == [_STEPS, _STEPS]
    return jumps


if __name__ == "__main__":
    print(json.dumps(play(Path(sys.argv[1]), int(sys.argv[2]))))
