"""A scheduling problem read from JSON and a plan written as JSON, for planning inside a function."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from dnaml.core.errors import InputError
from dnaml.core.plan import Plan, Problem
from dnaml.core.prediction import LEVELS, Prediction, Quantiles
from dnaml.core.protocols import Policy
from dnaml.core.resource import Kind, Resource, Site
from dnaml.core.work import Computation, Constraints, Job, Objective
from dnaml.predict.cost import Tariffs
from dnaml.schedule.policies import by_name

_MOST = 100_000  # pairs of job and resource
_Z = np.array([-1.6449, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.6449])  # normal quantiles of LEVELS
_FIELDS = ("domain", "slots", "memory_bytes", "price_usd_per_h", "startup_s", "latency_s", "power_w", "spec", "labels")


def read_problem(event: Mapping[str, Any]) -> tuple[Problem, Policy]:
    """Return the problem and the policy that JSON describes; raises InputError naming what breaks a rule.

    A job's `runtime_s` maps resource ids to seconds, or to {"median": s, "spread": ln}; a resource it does not name
    cannot run it. Start-up counts as part of the time on serverless resources. Costs follow from tariffs.
    """
    resources = tuple(_resource(one) for one in _list(event, "resources"))
    rows = _list(event, "jobs")
    if not resources or len(rows) * len(resources) > _MOST:
        raise InputError(f"problem: needs resources, and at most {_MOST} pairs, got {len(rows)} x {len(resources)}")
    jobs = tuple(_job(one, at_s=float(event.get("at_s", 0.0))) for one in rows)
    medians, spreads = _runtimes(rows, resources)
    feasible = np.isfinite(medians)
    starts_s = np.array([(one.startup_s or 0.0) if one.site is Site.SERVERLESS else 0.0 for one in resources])
    runs_s = np.where(feasible, medians, 1e9)[..., None] * np.exp(spreads[..., None] * _Z)
    prediction = Prediction(
        runtime_s=Quantiles(levels=np.array(LEVELS), values=runs_s + starts_s[:, None]),
        cost_usd=Quantiles(levels=np.array(LEVELS), values=Tariffs.of(resources).cost_usd(runs_s)),
        feasible=feasible,
        hazard_per_h=np.zeros(len(resources)),
        path="given",
    )
    free = event.get("free_in_s", {})
    problem = Problem(
        at_s=float(event.get("at_s", 0.0)),
        jobs=jobs,
        computations=tuple(Computation(id=job.computation_id, kernel=job.computation_id) for job in jobs),
        resources=resources,
        free_in_s=np.array([_amount(free.get(one.id, 0.0), f"free_in_s {one.id}") for one in resources]),
        prediction=prediction,
        objective=Objective.of(event.get("objective", "balanced")),
        seed=int(event.get("seed", 0)),
    )
    return problem, by_name(str(event.get("policy", "matching")))


def written_plan(plan: Plan) -> dict[str, Any]:
    """Return a plan as an object that JSON can hold."""
    return {
        "placements": [asdict(one) for one in plan.placements],
        "unplaced": dict(plan.unplaced),
        "score": {name: value for name, value in plan.score.items() if math.isfinite(value)},
        "bound": plan.bound,
        "gap": plan.gap,
    }


def _list(event: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    found = event.get(name) if isinstance(event, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise InputError(f"problem: {name} must be a list of objects")
    return found


def _resource(said: Mapping[str, Any]) -> Resource:
    unknown = sorted(set(said) - {"id", "kind", "site", *_FIELDS})
    if unknown:
        raise InputError(f"resource {said.get('id')!r}: there is no field {unknown[0]!r}")
    given = {name: said[name] for name in _FIELDS if name in said}
    return Resource(
        id=str(said.get("id", "")), kind=Kind(said.get("kind", "cpu")), site=Site(said.get("site", "local")), **given
    )


def _job(said: Mapping[str, Any], *, at_s: float) -> Job:
    limits = Constraints(deadline_s=said.get("deadline_s"), max_cost_usd=said.get("max_cost_usd"))
    name = str(said["id"])
    submitted_s = float(said.get("submitted_at_s", at_s))
    return Job(id=name, computation_id=name, submitted_at_s=submitted_s, constraints=limits)


def _runtimes(rows: Sequence[Mapping[str, Any]], resources: Sequence[Resource]) -> tuple[Any, Any]:
    """Return medians and spreads (standard deviations of ln) [J, R]; infinite medians where nothing is said."""
    medians, spreads = np.full((len(rows), len(resources)), np.inf), np.zeros((len(rows), len(resources)))
    for j, row in enumerate(rows):
        said = row.get("runtime_s", {})
        for r, resource in enumerate(resources):
            if resource.id in said:
                what = f"job {row.get('id')!r} on {resource.id}: runtime_s"
                value = said[resource.id]
                both = value if isinstance(value, Mapping) else {"median": value}
                medians[j, r] = _amount(both.get("median"), what)
                spreads[j, r] = _amount(both.get("spread", 0.0), what)
    return medians, spreads


def _amount(value: Any, what: str) -> float:  # Any: one JSON value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise InputError(f"{what} must be a number that is not negative, got {value!r}")
    return float(value)
