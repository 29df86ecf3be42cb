"""E2: one resource flips a bit in one of a hundred results and nothing is replicated; spot checks find it out.

Everything a resource does is repeated until enough of it was confirmed, a quarter after that. So it is found out both
where it was bad from its first job and, later, where it becomes so.
"""

import random
from pathlib import Path

import numpy as np

from benchmarks.faults.controller_case import Told
from benchmarks.faults.outcome import Bar, Outcome, Tier
from dnaml.schedule.settings import ControllerSettings

ID = "E2"
RUNS = {Tier.QUICK: 15, Tier.SOAK: 200}
_LIAR, _SHARE, _MOST = "r1", 0.01, 6_000
_CHECKED, _AT_ONCE = 0.25, 4
_SOUND_JOBS = 500  # of all resources, before the one that turns bad does


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Count the jobs that the resource had, from when it flips bits until it lost trust."""
    numbers = [seed * 1000 + run for run in range(runs)]
    first, repeated_first = zip(*(_jobs_until_caught(number, 0) for number in numbers), strict=True)
    later, repeated_later = zip(*(_jobs_until_caught(number, _SOUND_JOBS) for number in numbers), strict=True)
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what=f"a resource flips a bit in 1 % of its results, {_CHECKED:.0%} of jobs are repeated",
        figures=(
            Bar(name="jobs_until_caught_median", value=float(np.median(first)), unit="jobs", bar=300.0),
            Bar(name="jobs_until_caught_median_if_bad_later", value=float(np.median(later)), unit="jobs", bar=300.0),
            Bar(name="jobs_until_caught_p90", value=float(np.quantile(first, 0.9)), unit="jobs"),
            Bar(name="jobs_until_caught_p90_if_bad_later", value=float(np.quantile(later, 0.9)), unit="jobs"),
        ),
        extra={
            "repeated_share": float(np.mean(repeated_first)),
            "repeated_share_later": float(np.mean(repeated_later)),
        },
    )


def _jobs_until_caught(seed: int, sound_jobs: int) -> tuple[int, float]:
    """Return how many jobs the resource had while it was bad, and which share of all jobs was repeated."""
    rng = random.Random(seed)
    told = Told(4, ControllerSettings(spot_check_share=_CHECKED), seed)
    had = ran = 0
    for number in range(0, _MOST, _AT_ONCE):
        going = [start for each in range(_AT_ONCE) for start in told.submit(f"j{number + each}")]
        while going:
            one = going.pop(rng.randrange(len(going)))
            told.at_s += 0.01
            ran += 1
            where = one.attempt.placement.resource_id
            is_bad = where == _LIAR and number >= sound_jobs
            had += is_bad
            flipped = is_bad and rng.random() < _SHARE
            going += told.tell(told.began(one), told.done(one, f"flipped{ran}" if flipped else "true"))
        if _is_distrusted(told):
            return had, ran / (number + _AT_ONCE) - 1.0
    return _MOST, ran / _MOST - 1.0


def _is_distrusted(told: Told) -> bool:
    rates = {resource.id: told.controller.pool.error_rate(resource.id) or 0.0 for resource in told.resources}
    return rates[_LIAR] > max(rate for name, rate in rates.items() if name != _LIAR)
