"""E5: a machine is taken away without notice, workers and all; its work goes on elsewhere from its last checkpoint."""

import os
import random
import signal
import time
from pathlib import Path

from benchmarks.faults.local_case import executor_on, process_of, seen, until
from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.faults.spot_case import STEP_S, steps_begun, written_steps
from dnaml.core.resource import Resource
from dnaml.core.work import Resilience

ID = "E5"
RUNS = {Tier.QUICK: 2, Tier.SOAK: 100}
STEPS = 30
CHECKPOINT_S = 0.25


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Take `runs` machines away while they work; return how much was done again and how soon the work went on."""
    rng = random.Random(seed)
    recover_s, redone_s, wrong, lost, doubled = [], [], 0, 0, 0
    for number in range(runs):
        case = folder / str(number)
        result, after_s, again_s = _taken(case, rng.uniform(0.4, 1.0))
        recover_s.append(after_s)
        redone_s.append(again_s)
        wrong += result != STEPS
        told = seen(case)
        lost += told.lost()
        doubled += told.doubled + told.stale
    allowed_s = CHECKPOINT_S + STEP_S + 1.0
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="a machine is taken away without notice",
        recover_s=tuple(recover_s),
        redone_s=tuple(redone_s),
        lost=lost,
        duplicated=doubled,
        figures=(
            Bar(name="redone_most", value=max(redone_s), unit="s", bar=allowed_s),
            Bar(name="wrong_results", value=float(wrong), unit="", bar=0.0),
        ),
    )


def _taken(folder: Path, works_s: float) -> tuple[int, float, float]:
    """Return the result, the seconds until the work went on, and the seconds of work that were done again."""
    folder.mkdir()
    path = folder / "steps"
    spot = Resource(id="spot", price_usd_per_h=0.3, domain="a", labels={"spot": "yes"})
    with executor_on(folder, (spot,)) as executor:
        future = executor.options(resilience=Resilience(checkpoint_every_s=CHECKPOINT_S)).submit(
            written_steps, str(path), STEPS
        )
        pid = process_of(executor, future.job_id)
        until(lambda: len(steps_begun(path).get(pid, ())) * STEP_S > works_s)
        executor.add_resource(Resource(id="other", price_usd_per_h=1.0, domain="b"))
        taken_s = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        executor.remove_resource("spot", "taken away")
        until(lambda: len(steps_begun(path)) > 1)
        after_s = time.monotonic() - taken_s
        result = future.result(120)
    first, second = list(steps_begun(path).values())[:2]
    return result, after_s, max(0, first[-1] + 1 - second[0]) * STEP_S
