"""E2: one resource flips a bit in one of a hundred results and nothing is replicated; repeats find it out."""

import random
from pathlib import Path

import numpy as np

from benchmarks.faults.controller_case import Told
from benchmarks.faults.outcome import Bar, Outcome, Tier
from dnaml.schedule.settings import ControllerSettings

ID = "E2"
RUNS = {Tier.QUICK: 5, Tier.SOAK: 100}
_LIAR, _SHARE, _MOST = "r1", 0.01, 3_000
_CHECKED = 1.0  # at a lower share finding out takes as many times longer


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Count the jobs that the resource had until it lost trust."""
    counts = [_jobs_until_caught(random.Random(seed * 1000 + run), seed * 1000 + run) for run in range(runs)]
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what=f"a resource flips a bit in 1 % of its results, {_CHECKED:.0%} of jobs are repeated",
        figures=(
            Bar(name="jobs_until_caught_median", value=float(np.median(counts)), unit="jobs", bar=300.0),
            Bar(name="jobs_until_caught_most", value=float(max(counts)), unit="jobs", bar=300.0),
        ),
    )


def _jobs_until_caught(rng: random.Random, seed: int) -> int:
    told = Told(4, ControllerSettings(spot_check_share=_CHECKED), seed)
    had = 0
    for number in range(_MOST):
        going = told.submit(f"j{number}")
        while going:
            one = going.pop()
            told.at_s += 0.01
            where = one.attempt.placement.resource_id
            had += where == _LIAR
            flipped = where == _LIAR and rng.random() < _SHARE
            going += told.tell(told.began(one), told.done(one, f"flipped{number}" if flipped else "true"))
        if _is_distrusted(told):
            return had
    return _MOST


def _is_distrusted(told: Told) -> bool:
    rates = {resource.id: told.controller.pool.error_rate(resource.id) or 0.0 for resource in told.resources}
    return rates[_LIAR] > max(rate for name, rate in rates.items() if name != _LIAR)
