"""D4: one tenant of several poisons a part of all rows; what is learned for the others stays as good as it was.

The runs are real ones, shipped with dnaml; what the tenant sends is off by a factor, in another unit, or noise.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.faults.outcome import Bar, Outcome, Tier
from dnaml.datasets.screening import SOURCE
from dnaml.datasets.shipped import telemetry_table
from dnaml.datasets.table import Hold, RunTable
from dnaml.predict.runtime import RuntimePredictor

ID = "D4"
RUNS = {Tier.QUICK: 1, Tier.SOAK: 6}
SHARES = (0.01, 0.05, 0.10)
POISONS = ("another unit", "a factor of eight", "noise")
_ROWS = {True: 400, False: 100_000}


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Learn from sound rows, then from rows of which a share is poisoned, and compare the errors of the others."""
    whole = pd.read_parquet(telemetry_table())
    rises, kept, dropped = [], 0, 0
    for run in range(runs):
        rng = np.random.default_rng((seed, run))
        rows = rng.permutation(len(whole))[: _ROWS[runs == 1]]
        train, held = RunTable.from_frame(whole.iloc[rows]).split(Hold.ROW, 0.25, seed=seed + run)
        for number, share in enumerate(SHARES if runs > 1 else SHARES[-1:]):
            others, sent = parted(train.frame, share, POISONS[(run + number) % len(POISONS)], rng)
            before = _error(RuntimePredictor(seed=0).fit(others), held)
            fitted = RuntimePredictor(seed=0).fit(pd.concat([others, sent], ignore_index=True))
            poisoned = len(sent)
            rises.append(_error(fitted, held) / before - 1.0)
            aside = sum(count for why, count in fitted.set_aside.items() if why.startswith("contradicts"))
            kept, dropped = kept + max(0, poisoned - aside), dropped + max(0, aside - poisoned)
    return Outcome(
        id=ID,
        seed=seed,
        runs=len(rises),
        what="one tenant of several poisons rows",
        figures=(
            Bar(name="error_of_others_rises_most", value=100.0 * max(rises), unit="%", bar=5.0),
            Bar(name="poisoned_rows_learned_from", value=float(kept), unit="rows"),
            Bar(name="sound_rows_set_aside", value=float(dropped), unit="rows"),
        ),
    )


def parted(sound: pd.DataFrame, share: float, how: str, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of sound tenants, and those of one more, `share` of all, made wrong."""
    order, count = rng.permutation(len(sound)), max(1, round(share * len(sound)))
    factor = {
        "another unit": np.full(count, 1000.0),
        "a factor of eight": np.full(count, 8.0),
        "noise": np.exp(rng.normal(0.0, 3.0, count)),
    }[how]
    others, sent = sound.iloc[order[count:]], sound.iloc[order[:count]]
    others = others.assign(**{SOURCE: rng.choice(["a", "b", "c"], len(others))})
    return others, sent.assign(**{SOURCE: "mallory", "runtime_s": sent["runtime_s"] * factor})


def _error(predictor: RuntimePredictor, held: RunTable) -> float:
    """Return the median error of the logarithm."""
    said = predictor.predict(held.frame)["runtime_s"].to_numpy(dtype=float)
    return float(np.median(np.abs(np.log(said / held.frame["runtime_s"].to_numpy(dtype=float)))))
