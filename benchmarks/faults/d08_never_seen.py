"""D8: a resource or a computation that nobody has seen; there is an answer, wide enough to hold what comes."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.faults.outcome import Bar, Outcome, Tier
from benchmarks.report import Op
from dnaml.core.types import Computation, Kind, Resource
from dnaml.datasets.shipped import telemetry_table
from dnaml.datasets.table import Hold, RunTable
from dnaml.predict.placing import LivePredictor
from dnaml.predict.runtime import RuntimePredictor

ID = "D8"
RUNS = {Tier.QUICK: 1, Tier.SOAK: 5}
_ROWS, _STRANGE = 400, 200


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Hold resources, then computations, out of what is learned; ask for them, and for the strangest there could be."""
    whole = pd.read_parquet(telemetry_table())
    inside: list[bool] = []
    crashed = strange = 0
    for run in range(runs):
        rng = np.random.default_rng((seed, run))
        table = RunTable.from_frame(whole.iloc[rng.permutation(len(whole))[: _ROWS if runs == 1 else len(whole)]])
        for hold in (Hold.RESOURCE, Hold.COMPUTATION):
            train, held = table.split(hold, 0.25, seed=seed + run)
            try:
                said = RuntimePredictor(seed=0).fit(train).predict_quantiles(held.frame).to_numpy()
            except Exception:  # noqa: BLE001  # any crash is what this counts
                crashed += 1
                continue
            took_s = held.frame["runtime_s"].to_numpy(dtype=float)
            inside += ((said[:, 0] <= took_s) & (took_s <= said[:, -1])).tolist()
        strange += _undecided(rng)
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="resources and computations that were never seen",
        figures=(
            Bar(name="covered", value=100.0 * float(np.mean(inside)), unit="%", op=Op.AT_LEAST, bar=80.0),
            Bar(name="crashed", value=float(crashed), unit="", bar=0.0),
            Bar(name="without_an_answer", value=float(strange), unit="decisions", bar=0.0),
        ),
        extra={"pairs": float(len(inside))},
    )


def _undecided(rng: np.random.Generator) -> int:
    """Ask the scheduler's predictor for pairs of drawn size, demand and specs; return how often it had no answer."""
    missed = 0
    for number in range(_STRANGE):
        demand = {
            name: float(10 ** rng.uniform(-3, 18))
            for name in ("flop", "working_set_bytes", "odd")
            if rng.random() < 0.5
        }
        spec = {
            name: float(10 ** rng.uniform(-3, 15)) for name in ("cores", "fp32_flop_per_s", "odd") if rng.random() < 0.5
        }
        work = Computation(
            id=f"new{number}", kernel=f"new{number}", size={"n": float(10 ** rng.uniform(0, 12))}, demand=demand
        )
        here = Resource(id=f"r{number}", kind=rng.choice(np.array(list(Kind), dtype=object)), spec=spec)
        answer = LivePredictor().predict([work], [here])
        missed += not (np.isfinite(answer.runtime_s.values).all() and (answer.runtime_s.values > 0).all())
    return missed
