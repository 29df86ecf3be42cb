"""What would have been: recorded decisions, predictions or a trace looked at again under other wishes.

Recorded decisions and predictions are weighed by the formula of the scheduler itself (`dnaml.schedule.objective`), one
job at a time with the waits that were known then: a whole plan made anew may differ.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.core.plan import Decision, Problem
from dnaml.core.prediction import Prediction, Quantiles
from dnaml.core.resource import Resource
from dnaml.core.work import PRESETS, Computation, Job, Objective
from dnaml.datasets.traces.trace import Trace
from dnaml.nb.sources import history_of
from dnaml.predict.runtime import RuntimePredictor
from dnaml.schedule.objective import terms

if TYPE_CHECKING:
    import pandas as pd

    from dnaml.client import Executor
    from dnaml.history import History

FloatArray = npt.NDArray[np.float64]
LEVELS = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """One job and where it could run. Shapes: runtime_s [R, 3] at p10, p50, p90; the others [R], NaN where unknown.

    `recorded` is what was chosen, None where nothing was yet.
    """

    job_id: str
    computation_id: str
    resource_ids: tuple[str, ...]
    runtime_s: FloatArray
    wait_s: FloatArray
    cost_usd: FloatArray
    risk: FloatArray
    allowed: npt.NDArray[np.bool_]
    recorded: str | None = None


def whatif(
    subject: "Executor | History | str | Path | Decision | RuntimePredictor | Trace",
    pairs: "pd.DataFrame | None" = None,
    *,
    objectives: Sequence[Objective | str | Mapping[str, float]] = tuple(PRESETS),
    prices_usd_per_h: Mapping[str, float] | None = None,
    without: Sequence[str] = (),
    pools: Sequence[Mapping[str, int]] = (),
    policies: Sequence[str] = ("dnaml",),
) -> "pd.DataFrame":
    """Return what would be chosen, one row per job and objective: where, predicted seconds, cost, and if that changed.

    `prices_usd_per_h` replaces prices by resource id and `without` takes resources away. A predictor is asked about
    `pairs` (the candidates of each computation). A trace is simulated on each of `pools` under each of `policies`.
    """
    import pandas as pd

    if isinstance(subject, Trace):
        return _simulated(subject, pools or ({},), policies)
    if isinstance(subject, RuntimePredictor):
        if pairs is None:
            raise InputError("whatif: a predictor is asked about pairs; give a DataFrame of candidates")
        found, power_w = list(_predicted(subject, pairs)), dict[str, float | None]()
    elif isinstance(subject, Decision):
        found, power_w = [_recorded(subject, subject.job_id)], {}
    else:
        history = history_of(subject)
        jobs = history.jobs
        found = [_recorded(one, jobs[one.job_id].job.computation_id) for one in history.decisions()]
        power_w = {one.id: one.power_w for one in history.resources.values()}
    changed = [_changed(one, prices_usd_per_h or {}, frozenset(without)) for one in found]
    rows = [_row(one, wish, power_w) for one in changed for wish in objectives]
    return pd.DataFrame(rows)


def _recorded(decision: Decision, computation_id: str) -> Candidates:
    runtime_s = np.array([decision.runtime_p10_s, decision.runtime_p50_s, decision.runtime_p90_s]).T
    return Candidates(
        job_id=decision.job_id,
        computation_id=computation_id,
        resource_ids=decision.resource_ids,
        runtime_s=runtime_s,
        wait_s=np.array(decision.wait_s),
        cost_usd=np.array(decision.cost_usd),
        risk=np.nan_to_num(np.array(decision.risk)),
        allowed=np.isfinite(np.array(decision.score)),
        recorded=decision.chosen,
    )


def _predicted(model: RuntimePredictor, pairs: "pd.DataFrame") -> Iterator[Candidates]:
    quantiles = model.predict_quantiles(pairs, LEVELS).to_numpy(dtype=float)
    said = model.predict(pairs)
    cost = said["cost_usd"].to_numpy(dtype=float) if "cost_usd" in said else np.full(len(pairs), np.nan)
    names = pairs["computation_id"].astype(str).to_numpy()
    for name in dict.fromkeys(names.tolist()):
        rows = np.flatnonzero(names == name)
        yield Candidates(
            job_id=name,
            computation_id=name,
            resource_ids=tuple(pairs["resource_id"].astype(str).iloc[rows]),
            runtime_s=quantiles[rows],
            wait_s=np.zeros(len(rows)),
            cost_usd=cost[rows],
            risk=np.zeros(len(rows)),
            allowed=np.ones(len(rows), dtype=bool),
        )


def _changed(one: Candidates, prices: Mapping[str, float], without: frozenset[str]) -> Candidates:
    """Return the candidates at other prices and without some resources; a price is paid for the runtime alone."""
    cost = [
        prices[name] * seconds / 3600.0 if name in prices else usd
        for name, seconds, usd in zip(one.resource_ids, one.runtime_s[:, 1], one.cost_usd, strict=True)
    ]
    there = np.array([name not in without for name in one.resource_ids], dtype=bool)
    return replace(one, cost_usd=np.array(cost, dtype=np.float64), allowed=one.allowed & there)


def _row(
    one: Candidates, wish: Objective | str | Mapping[str, float], power_w: Mapping[str, float | None]
) -> dict[str, Any]:  # cells of a table
    found: dict[str, Any] = {
        "job_id": one.job_id,
        "computation_id": one.computation_id,
        "objective": wish if isinstance(wish, str) else str(wish),
        "chosen": None,
        "runtime_p50_s": math.nan,
        "wait_s": math.nan,
        "cost_usd": math.nan,
        "score": math.nan,
    }
    if one.allowed.any():
        score = terms(_problem(one, Objective.of(wish), power_w)).score[0]
        best = int(np.argmin(np.where(one.allowed, score, np.inf)))
        found["chosen"], found["score"] = one.resource_ids[best], float(score[best])
        found["runtime_p50_s"], found["wait_s"] = float(one.runtime_s[best, 1]), float(one.wait_s[best])
        found["cost_usd"] = float(one.cost_usd[best])
    if one.recorded is not None:
        at = one.resource_ids.index(one.recorded)
        found["recorded"], found["changed"] = one.recorded, one.recorded != found["chosen"]
        found["recorded_p50_s"] = float(one.runtime_s[at, 1])
    return found


def _problem(one: Candidates, objective: Objective, power_w: Mapping[str, float | None]) -> Problem:
    """Return the problem of placing this one job: what the formula of the scheduler weighs."""
    runtime_s = np.maximum.accumulate(one.runtime_s, axis=1)
    hazard_per_s = -np.log1p(-np.clip(one.risk, 0.0, 1.0 - 1e-12)) / np.maximum(runtime_s[:, 1], 1e-12)
    levels = np.array(LEVELS)
    cost_usd = np.repeat(one.cost_usd[:, None], len(LEVELS), axis=1)
    prediction = Prediction(
        runtime_s=Quantiles(levels=levels, values=runtime_s[None]),
        cost_usd=Quantiles(levels=levels, values=cost_usd[None]),
        feasible=one.allowed[None],
        hazard_per_h=hazard_per_s * 3600.0,
        path="recorded",
    )
    return Problem(
        at_s=0.0,
        jobs=(Job(id=one.job_id, computation_id=one.computation_id, submitted_at_s=0.0),),
        computations=(Computation(id=one.computation_id, kernel=one.computation_id),),
        resources=tuple(Resource(id=name, power_w=power_w.get(name)) for name in one.resource_ids),
        free_in_s=one.wait_s,
        prediction=prediction,
        objective=objective,
    )


def _simulated(trace: Trace, pools: Sequence[Mapping[str, int]], policies: Sequence[str]) -> "pd.DataFrame":
    import pandas as pd

    from dnaml.nb.comparison import policies as table
    from dnaml.simulation import simulate

    parts = []
    for sizes in pools:
        sized = trace.on(sizes) if sizes else trace
        named = ", ".join(f"{one.id}={one.slots}" for one in sized.resources)
        parts.append(table([simulate(sized, policy=name) for name in policies]).assign(pools=named))
    return pd.concat(parts).set_index("pools", append=True)
