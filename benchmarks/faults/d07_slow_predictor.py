"""D7: the predictor takes far longer than a decision may; after two such calls it rests, and decisions are fast."""

import time
from pathlib import Path

import numpy as np

from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.faults.predictor_case import POOL, WORK, Misbehaving, taught
from dnaml.predict.guarded import Guarded

ID = "D7"
RUNS = {Tier.QUICK: 1_000, Tier.SOAK: 5_000}
DELAY_S, BUDGET_S = 0.2, 0.1


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Ask for decisions with a predictor that is always late, beside one that never is; scaled to 0.1 s of budget."""
    normal_s = _latencies(Guarded.of(taught(), call_s=BUDGET_S), runs)
    late_s = _latencies(Guarded.of(Misbehaving(taught(), delay_s=DELAY_S), call_s=BUDGET_S), runs)
    ratio = float(np.quantile(late_s, 0.99) / np.quantile(normal_s, 0.99))
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="a predictor that takes too long",
        detect_s=tuple(value for value in late_s if value >= DELAY_S)[:2],
        figures=(
            Bar(name="decision_p99_over_normal", value=ratio, unit="x", bar=2.0),
            Bar(name="slow_decisions", value=float(sum(value >= DELAY_S for value in late_s)), unit="decisions"),
        ),
    )


def _latencies(guard: Guarded, runs: int) -> list[float]:
    taken = []
    for _ in range(runs):
        began_s = time.perf_counter()
        guard.predict(WORK, POOL)
        taken.append(time.perf_counter() - began_s)
    return taken
