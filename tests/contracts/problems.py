"""Problems for tests of policies: a builder for one that is written out, and a strategy for any."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from dnaml.core.plan import Problem
from dnaml.core.prediction import LEVELS, Prediction, Quantiles
from dnaml.core.resource import Kind, Resource
from dnaml.core.work import PRESETS, Computation, Constraints, Job, Objective, Resilience

FloatArray = npt.NDArray[np.float64]
Overrides = Sequence[Mapping[str, Any]]


def problem(
    runtime_s: Any,
    price: Sequence[float] | None = None,
    *,
    objective: Any = "balanced",
    free_in_s: Sequence[float] | None = None,
    spread: float = 0.2,
    hazard_per_h: Sequence[float] | None = None,
    feasible: Any = None,
    jobs: Overrides = (),
    computations: Overrides = (),
    resources: Overrides = (),
    **others: Any,
) -> Problem:
    """Build a problem from median runtimes [J, R]: jobs j0, j1, ... of computations c0, c1, ... on r0, r1, ...

    `spread` is the half-width of the quantiles in ln; prices are per hour, unknown when left out. The lists of
    overrides hold fields of the first jobs, computations and resources.
    """
    median = np.asarray(runtime_s, dtype=float)
    count, width = median.shape
    levels = np.array(LEVELS)
    values = median[:, :, None] * np.exp((levels - 0.5) * 2 * spread)
    per_s = np.full(width, np.nan) if price is None else np.asarray(price, dtype=float) / 3600
    prediction = Prediction(
        runtime_s=Quantiles(levels=levels, values=values),
        cost_usd=Quantiles(levels=levels, values=values * per_s[None, :, None]),
        feasible=np.ones((count, width), dtype=bool) if feasible is None else np.asarray(feasible, dtype=bool),
        hazard_per_h=np.zeros(width) if hazard_per_h is None else np.asarray(hazard_per_h, dtype=float),
        path="table",
    )
    return Problem(
        at_s=others.pop("at_s", 0.0),
        jobs=tuple(
            Job(**{"id": f"j{i}", "computation_id": f"c{i}", "submitted_at_s": 0.0, **_at(jobs, i)})
            for i in range(count)
        ),
        computations=tuple(
            Computation(**{"id": f"c{i}", "kernel": "kernel", **_at(computations, i)}) for i in range(count)
        ),
        resources=tuple(
            Resource(
                **{
                    "id": f"r{i}",
                    "price_usd_per_h": None if price is None or np.isnan(price[i]) else price[i],
                    **_at(resources, i),
                }
            )
            for i in range(width)
        ),
        free_in_s=np.zeros(width) if free_in_s is None else np.asarray(free_in_s, dtype=float),
        prediction=prediction,
        objective=Objective.of(objective),
        **others,
    )


def _at(overrides: Overrides, i: int) -> Mapping[str, Any]:
    return overrides[i] if i < len(overrides) else {}


@st.composite
def problems(draw: st.DrawFn, *, most_jobs: int = 7, most_resources: int = 4) -> Problem:
    """Draw any problem a policy may meet: no resource, unknown prices, limits, gangs, copies, NaN predictions."""
    count = draw(st.integers(0, most_jobs))
    width = draw(st.integers(0, most_resources))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    runtime_s = np.exp(rng.normal(0.0, 1.5, (count, width)))
    if draw(st.booleans()):
        runtime_s = np.repeat(runtime_s[:1], count, axis=0) if count else runtime_s  # all alike
    if draw(st.booleans()):
        runtime_s[rng.random((count, width)) < 0.2] = np.nan
    return problem(
        runtime_s,
        draw(st.sampled_from([None, rng.uniform(0.0, 3.0, width).round(1)])),
        objective=draw(st.sampled_from([*PRESETS, {"resilience": 1.0}, {"energy": 1.0}, {"cost": 1.0, "energy": 2.0}])),
        free_in_s=draw(st.sampled_from([np.zeros(width), rng.uniform(0.0, 10.0, width)])),
        hazard_per_h=rng.uniform(0.0, 2.0, width),
        feasible=rng.random((count, width)) < draw(st.sampled_from([1.0, 0.7])),
        similarity=draw(st.sampled_from([None, rng.random((count, width))])),
        jobs=[draw(_jobs()) for _ in range(count)],
        computations=[{"memory_bytes": draw(st.sampled_from([None, 2**20, 2**34]))} for _ in range(count)],
        resources=[draw(_resources()) for _ in range(width)],
        at_s=100.0,
        seed=draw(st.integers(0, 3)),
        budget=draw(st.sampled_from([0, 100, 10_000])),
    )


@st.composite
def _jobs(draw: st.DrawFn) -> dict[str, Any]:
    limited = draw(st.booleans()) and draw(st.booleans())
    constraints = Constraints(
        deadline_s=draw(st.sampled_from([None, 20.0, 200.0])),
        max_cost_usd=draw(st.sampled_from([None, 1e-3])),
        kinds=draw(st.sampled_from([(), (Kind.GPU,), (Kind.CPU, Kind.GPU)])),
        labels=draw(st.sampled_from([{}, {"zone": "a"}])),
        resource_ids=draw(st.sampled_from([(), ("r0",), ("r1", "r2")])),
        max_price_usd_per_h=draw(st.sampled_from([None, 1.5])),
    )
    return {
        "submitted_at_s": draw(st.sampled_from([90.0, 100.0])),
        "priority": draw(st.sampled_from([0, 0, 0, 5])),
        "units": draw(st.sampled_from([(1, 1), (1, 1), (2, 4)])),
        "objective": draw(st.sampled_from([None, None, Objective(cost=0, latency=1, resilience=0)])),
        "resilience": Resilience(replicas=draw(st.sampled_from([1, 1, 1, 2, 3]))),
        **({"constraints": constraints} if limited else {}),
    }


@st.composite
def _resources(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "kind": draw(st.sampled_from([Kind.CPU, Kind.GPU])),
        "domain": draw(st.sampled_from(["a", "b"])),
        "slots": draw(st.sampled_from([1, 1, 2, 4])),
        "memory_bytes": draw(st.sampled_from([None, 2**30, 2**36])),
        "power_w": draw(st.sampled_from([None, 50.0])),
        "labels": draw(st.sampled_from([{}, {"zone": "a"}])),
        "spec": draw(st.sampled_from([{}, {"clock_average_hz": 3e9}])),
    }
