"""A11: the controller gets SIGTERM under load; it leaves with exit code 0, soon, and nothing it did is done again."""

import random
import signal
import time
from pathlib import Path

from benchmarks.faults.history import child, counted
from benchmarks.faults.outcome import Bar, Outcome, Tier

ID = "A11"
RUNS = {Tier.QUICK: 2, Tier.SOAK: 20}
JOBS = 60


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Tell an engine to end `runs` times at random instants of its work, and finish it with a last one."""
    chance = random.Random(seed)
    took_s, codes = [], []
    for run in range(runs):
        with child(folder, "--first", str(run * JOBS), "--jobs", str(JOBS), "--task", "steps") as one:
            one.wait_ready()
            time.sleep(chance.uniform(0.1, 0.8))
            code, gone_s = one.end(signal.SIGTERM)
            codes.append(code)
            took_s.append(gone_s)
    with child(folder, "--finish") as last:
        finished = last.wait()
    found = counted(folder)
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="the controller told to end under load",
        detect_s=tuple(took_s),
        lost=found.lost,
        duplicated=found.doubled,
        figures=(
            Bar(name="gone_after_max", value=max(took_s), unit="s", bar=5.0),
            Bar(name="exit_codes_not_0", value=float(sum(code != 0 for code in (*codes, finished))), unit="", bar=0.0),
        ),
    )
