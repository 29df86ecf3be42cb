"""A10: a process is killed at every named step of the durable protocols, at its first, third and ninth pass."""

import signal
from pathlib import Path

from benchmarks.faults.history import child, counted
from benchmarks.faults.outcome import Bar, Outcome, Tier
from dnaml.execution.crashpoints import CrashPoint

ID = "A10"
RUNS = {Tier.QUICK: 1, Tier.SOAK: 3}
_PASSES = (1, 3, 9)
_JOBS = 12


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Sweep every point at the first `runs` of the passes; each time an engine finishes what is left."""
    lost = doubled = reached = 0
    cases = [(point, passes) for point in CrashPoint for passes in _PASSES[:runs]]
    for point, passes in cases:
        case = folder / f"{point.value}-{passes}"
        case.mkdir()
        hit = crashed_at(case, point, passes)
        found = counted(case)
        lost += found.lost
        doubled += found.doubled
        reached += hit
    return Outcome(
        id=ID,
        seed=seed,
        runs=len(cases),
        what="a process killed at every named step",
        lost=lost,
        duplicated=doubled,
        figures=(Bar(name="points_not_reached", value=float(len(cases) - reached), unit="", bar=0.0),),
    )


def crashed_at(folder: Path, point: CrashPoint, passes: int) -> bool:
    """Run jobs with the point armed, once more to finish; say whether a process died at it."""
    fuse = folder / "fuse"
    arm = {"DNAML_TEST": "1", "DNAML_CRASH_AT": f"{point.value}:{passes}", "DNAML_CRASH_ONCE": str(fuse)}
    with child(folder, "--jobs", str(_JOBS), "--task", "steps", "--finish", "--compact", **arm) as first:
        if first.wait() != -signal.SIGKILL:
            return fuse.exists()
    with child(folder, "--finish", "--compact") as last:
        return last.wait() == 0 and fuse.exists()
