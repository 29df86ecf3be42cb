"""D5: a resource becomes three times slower; an alarm is raised and predictions come right again."""

import math
from pathlib import Path

import numpy as np

from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.faults.predictor_case import POOL, taught, true_s
from dnaml.core.protocols import Run
from dnaml.core.types import Computation
from dnaml.predict.guarded import Guarded

ID = "D5"
RUNS = {Tier.QUICK: 3, Tier.SOAK: 50}
SLOWER, NOISE_SD, ASKED = 3.0, 0.1, 60


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Let runs on one resource take three times as long from one moment on, and count runs until it is noticed."""
    alarms, settled = [], []
    for number in range(runs):
        alarm, right = _one(np.random.default_rng((seed, number)))
        alarms.append(alarm)
        settled.append(right)
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="a resource that becomes three times slower",
        figures=(
            Bar(name="runs_until_the_alarm", value=float(max(alarms)), unit="runs", bar=20.0),
            Bar(name="runs_until_within_1.2_x", value=float(max(settled)), unit="runs", bar=50.0),
        ),
    )


def _one(rng: np.random.Generator) -> tuple[float, float]:
    """Return after how many runs there was an alarm, and after how many the error was back; inf for never."""
    guard, slow = Guarded.of(taught()), POOL[0]
    before = _error(guard, 1.0)
    alarm = right = math.inf
    for number in range(ASKED):
        work = Computation(id=f"c{number % 8}", kernel="c", size={"n": 1.0 + number % 8})
        guard.predict([work], POOL)
        took_s = SLOWER * true_s(work, slow) * float(np.exp(rng.normal(0.0, NOISE_SD)))
        guard = guard.updated([Run(computation=work, resource=slow, runtime_s=took_s, at_s=10.0 + number)])
        if alarm == math.inf and slow.id in guard.health.resources:
            alarm = number + 1
        if right == math.inf and _error(guard, SLOWER) <= 1.2 * before + NOISE_SD:
            right = number + 1
    return alarm, right


def _error(guard: Guarded, slower: float) -> float:
    """Return the median error of the logarithm on the slow resource."""
    work = [Computation(id=f"c{i}", kernel="c", size={"n": 1.0 + i}) for i in range(8)]
    middle = guard.ladder.predict(work, POOL[:1]).runtime_s.quantile(0.5)[:, 0]
    truth = np.array([slower * true_s(one, POOL[0]) for one in work])
    return float(np.median(np.abs(np.log(middle / truth))))
