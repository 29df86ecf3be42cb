"""B1: the disk fills while checkpoints are written; the one before stays loadable, and the computation goes on."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.faults.outcome import Bar, Outcome, Tier

ID = "B1"
RUNS = {Tier.QUICK: 60, Tier.SOAK: 2000}
_WHAT = "saves on a file system of 1 MiB"


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Save states of all sizes on a file system of 1 MiB in a mount namespace of its own."""
    unshare = shutil.which("unshare")
    small = folder / "small"
    small.mkdir()
    mount = f'mount -t tmpfs -o size=1m tmpfs "{small}" && exec "$@"'
    probe = [str(unshare), "-m", "sh", "-c", mount, "sh", "true"]
    if unshare is None or subprocess.run(probe, capture_output=True).returncode != 0:
        return Outcome(id=ID, seed=seed, runs=0, what=_WHAT, skipped="no mount namespace can be made here")
    child = [sys.executable, "-m", "benchmarks.faults.b01_disk_full", str(small), str(runs), str(seed)]
    ended = subprocess.run([*probe[:-1], *child], capture_output=True, text=True, check=True)
    told = json.loads(ended.stdout)
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what=_WHAT,
        lost=told["not_loadable"],
        figures=(
            Bar(name="wrong_loads", value=float(told["wrong"]), unit="", bar=0.0),
            Bar(name="unreported", value=float(told["refused"] - told["reported"]), unit="", bar=0.0),
        ),
        extra={"refused": told["refused"], "written": told["written"]},
    )


def fill(folder: Path, runs: int, seed: int) -> dict[str, int]:
    """Save until nothing fits, over and over; after each save, restore as the next attempt would."""
    import numpy as np

    from dnaml.execution.checkpoints import CheckpointStore
    from dnaml.execution.context import Context

    chance, reports = np.random.default_rng(seed), []  # type: ignore[var-annotated]  # lines of text
    store = CheckpointStore(folder)
    told = {"written": 0, "refused": 0, "not_loadable": 0, "wrong": 0}
    last = None
    context = Context(store=store, job_id="job", computation_id="fit", attempt_id="job.1", trouble=reports.append)
    for number in range(runs):
        state = np.full(int(chance.integers(1, 700 * 128)), float(number))
        if context.save(number / runs, state, force=True):
            told["written"], last = told["written"] + 1, state
        else:
            told["refused"] += 1
        newest = store.newest("job")
        if newest is None:
            told["not_loadable"] += last is not None
        elif last is None or not np.array_equal(store.load(newest.id)[1], last):
            told["wrong"] += 1
    return {**told, "reported": len(reports)}


if __name__ == "__main__":
    print(json.dumps(fill(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
