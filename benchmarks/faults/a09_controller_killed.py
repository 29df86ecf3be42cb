"""A9: the controller is killed at random instants under load; nothing accepted is lost, nothing is committed twice."""

import random
import signal
import time
from pathlib import Path

from benchmarks.faults.history import child, counted
from benchmarks.faults.outcome import Bar, Outcome, Tier, percentile

ID = "A9"
RUNS = {Tier.QUICK: 6, Tier.SOAK: 500}
JOBS_A_RUN = 100


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Kill an engine `runs` times while it is given and runs jobs; the last engine finishes what is left."""
    chance = random.Random(seed)
    ready_s: list[float] = []
    for run in range(runs):
        with child(folder, "--first", str(run * JOBS_A_RUN), "--jobs", str(JOBS_A_RUN)) as one:
            opened_s = one.wait_ready()
            if opened_s is not None and run:
                ready_s.append(opened_s)
            time.sleep(chance.uniform(0.0, 0.6))
            one.end(signal.SIGKILL)
    with child(folder, "--finish") as last:
        opened_s = last.wait_ready()
        ready_s += [opened_s] if opened_s is not None else []
        finished = last.wait()
    found = counted(folder)
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="the controller killed at a random instant under load",
        recover_s=tuple(ready_s),
        lost=found.lost,
        duplicated=found.doubled,
        figures=(
            Bar(name="ready_p99", value=percentile(tuple(ready_s), 0.99), unit="s", bar=1.0, peer="Dask: all lost"),
            Bar(name="exit_code_of_the_last", value=float(abs(finished)), unit="", bar=0.0),
        ),
        extra={"accepted": len(found.accepted)},
    )
