"""D6: the predictor answers NaN, negative or a thousand times too much; no such answer reaches a decision."""

from pathlib import Path

import numpy as np

from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.faults.predictor_case import POOL, WORK, Misbehaving, taught, true_s
from dnaml.core.protocols import Run
from dnaml.predict.guarded import Guarded

ID = "D6"
RUNS = {Tier.QUICK: 30, Tier.SOAK: 3_000}
FACTORS = (float("nan"), -1.0, 1000.0, float("inf"), 0.0)


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Ask a guard whose predictor breaks after it has been sound, and compare each answer with what pairs take."""
    rng = np.random.default_rng(seed)
    truth = np.array([[true_s(c, r) for r in POOL] for c in WORK])
    seen = [
        Run(computation=c, resource=r, runtime_s=true_s(c, r), at_s=2.0) for _ in range(3) for c in WORK for r in POOL
    ]
    used = unanswered = untold = 0
    for _ in range(runs):
        factor = FACTORS[rng.integers(len(FACTORS))]
        guard = Guarded.of(Misbehaving(taught(), factor=factor)).updated(seen)
        answer = guard.predict(WORK, POOL)
        middle = answer.runtime_s.quantile(0.5)
        unanswered += not (np.isfinite(answer.runtime_s.values).all() and (middle > 0).all())
        used += bool((np.abs(np.log(np.maximum(middle, 1e-12) / truth)) > np.log(100)).any())
        untold += guard.health.is_good
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="a predictor that answers nonsense",
        figures=(
            Bar(name="nonsense_used", value=float(used), unit="decisions", bar=0.0),
            Bar(name="without_an_answer", value=float(unanswered), unit="decisions", bar=0.0),
            Bar(name="not_told", value=float(untold), unit="decisions", bar=0.0),
        ),
    )
