"""Asking without running: predictions, matches, and plans: where would this go, and what would it take."""

import time
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from dnaml.answers.outlook import outlook
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Job, Objective
from dnaml.dna.space import SLOTS, computation_dna, match
from dnaml.predict.outcomes import costs_usd
from dnaml.rest.auth import Caller, Scope
from dnaml.rest.bodies import decode
from dnaml.rest.declare import Declared, Routes, answer, body_of, caller_of, service_of
from dnaml.rest.oracle import Row
from dnaml.rest.problems import Problem
from dnaml.rest.service import Service
from dnaml.rest.submitting import read_request

routes = Routes("asking")
_REFUSES = (400, 403, 404, 413, 415, 422)
_MOST_EXPLAINED, _EACH_WAY = 20, 128
_FIRST = {"id": "fit-1", "kernel": "fit", "size": {"rows": 1e6}, "demand": {"fp64_flop": 1e12, "parallelism": 4.0}}


class ComputationBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A computation, described; with its `id` alone it is one that was described or run before."""

    id: str
    kernel: str = ""
    size: dict[str, float] = {}
    demand: dict[str, float] = {}
    memory_bytes: int | None = None
    input_bytes: int | None = None


class Ask(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is asked about: computations, and jobs as in a job file; `k` candidates are told of each, best first."""

    computations: list[ComputationBody] = []
    jobs: list[dict[str, Any]] = []
    objective: str | dict[str, float] | None = None
    explain: bool = False  # of plans: the whole decision, with what each candidate waits and risks and why it lost
    unfit: bool = False  # of predictions: also resources that cannot hold the computation
    k: int = 5
    metric: str = "cosine"


class Candidate(msgspec.Struct, kw_only=True):
    """One resource for a computation; `score` is the weighted time and cost, each over its least.

    `cost_p90_usd` and `feasible` are told of predictions.
    """

    resource_id: str
    runtime_p10_s: float
    runtime_p50_s: float
    runtime_p90_s: float
    cost_usd: float | None
    score: float | None = None
    price_date: str | None = None
    cost_p90_usd: float | None = None
    feasible: bool = True


class PredictionAnswer(msgspec.Struct, kw_only=True):
    """What is predicted of one computation, the quickest resources first."""

    computation_id: str
    predicted_by: str
    resources: list[Candidate]


class PredictionsAnswer(msgspec.Struct, kw_only=True):
    """One prediction for each computation asked about, in order."""

    predictions: list[PredictionAnswer]


class PlanAnswer(msgspec.Struct, kw_only=True):
    """Where a computation would go on an idle pool; `reason` says why where `chosen` is null.

    `outlook` is the decision that would be taken, where it was asked for.
    """

    computation_id: str
    predicted_by: str
    chosen: str | None
    candidates: list[Candidate]
    reason: str = ""
    outlook: dict[str, Any] | None = None  # as DecisionAnswer, without ids, with `waits_because`


class PlansAnswer(msgspec.Struct, kw_only=True):
    """One plan for each computation asked about, in order; nothing was run."""

    plans: list[PlanAnswer]


class MatchRow(msgspec.Struct, kw_only=True):
    """One resource and how well its DNA suits."""

    resource_id: str
    similarity: float
    distance: float
    shared_slots: int


class MatchAnswer(msgspec.Struct, kw_only=True):
    """Resources ranked by the likeness of their DNA to a computation's `vector`, slot by slot; null is unknown."""

    computation_id: str
    metric: str
    matches: list[MatchRow]
    version: str
    slots: list[str]
    vector: list[float | None]


class MatchesAnswer(msgspec.Struct, kw_only=True):
    """One ranking for each computation asked about, in order."""

    matches: list[MatchAnswer]


_decode_ask = msgspec.json.Decoder(Ask).decode


@routes.add(
    "POST",
    "/predictions",
    Declared(
        scope=Scope.READ, body=Ask, answer=PredictionsAnswer, refuses=_REFUSES, example={"computations": [_FIRST]}
    ),
)
async def predict(request: Request) -> Response:
    """Predict time and cost of computations on every resource, with bands."""
    service, ask = service_of(request), _ask(service_of(request), body_of(request))
    computations = _asked_about(service, caller_of(request), ask)
    pool, rows = await run_in_threadpool(service.oracle.rows, computations)
    told = []
    for computation, row in zip(computations, rows, strict=True):
        order = _best(row.median_s if ask.unfit else np.where(row.feasible, row.median_s, np.inf), ask.k)
        found = [_predicted(computation, pool, row, place) for place in order]
        told.append(PredictionAnswer(computation_id=computation.id, predicted_by=row.path, resources=found))
    return answer(PredictionsAnswer(predictions=told))


@routes.add(
    "POST",
    "/matches",
    Declared(scope=Scope.READ, body=Ask, answer=MatchesAnswer, refuses=_REFUSES, example={"computations": [_FIRST]}),
)
async def match_resources(request: Request) -> Response:
    """Rank resources by the likeness of their DNA to what computations demand."""
    service, ask = service_of(request), _ask(service_of(request), body_of(request))
    computations = _asked_about(service, caller_of(request), ask)
    pool = service.resources()

    def ranked() -> list[MatchAnswer]:
        return [
            MatchAnswer(
                computation_id=one.id,
                metric=ask.metric,
                version=dna.version,
                slots=list(SLOTS),
                vector=dna.vector.tolist(),
                matches=[
                    MatchRow(
                        resource_id=found.resource_id,
                        similarity=found.similarity,
                        distance=found.distance,
                        shared_slots=found.shared_slots,
                    )
                    for found in match(one, pool, metric=ask.metric, k=ask.k)
                ],
            )
            for one, dna in ((one, computation_dna(one)) for one in computations)
        ]

    return answer(MatchesAnswer(matches=await run_in_threadpool(ranked)))


@routes.add(
    "POST",
    "/plans",
    Declared(
        scope=Scope.READ,
        body=Ask,
        answer=PlansAnswer,
        refuses=_REFUSES,
        example={"computations": [_FIRST], "objective": "balanced", "k": 3},
    ),
)
async def plan(request: Request) -> Response:
    """Say where computations would go on an idle pool, and what they would take there; nothing is run."""
    return await plan_at_once(service_of(request), caller_of(request), body_of(request))


async def plan_at_once(service: Service, caller: Caller, body: bytes) -> Response:
    """Answer a plan; the gate calls this without going through the routes."""
    began_s = time.perf_counter()
    ask = _ask(service, body)
    objective = service.objective if ask.objective is None else Objective.of(ask.objective)
    computations = _asked_about(service, caller, ask)
    pool, rows = service.oracle.rows(computations)
    plans = [_planned(one, row, pool, objective, ask.k) for one, row in zip(computations, rows, strict=True)]
    if ask.explain:
        await run_in_threadpool(_explain, service, ask, plans)
    service.decided((time.perf_counter() - began_s) / len(plans))
    return answer(PlansAnswer(plans=plans))


def _explain(service: Service, ask: Ask, plans: Sequence[PlanAnswer]) -> None:
    """Put the whole decision beside each plan, made of jobs with all they wish."""
    if ask.computations or len(ask.jobs) > _MOST_EXPLAINED:
        raise Problem(422, f"explain: is of at most {_MOST_EXPLAINED} jobs, and of no computations", kind="invalid")
    predictor = service.oracle.learned()
    for body, told in zip(ask.jobs, plans, strict=True):
        request = read_request(body, service.rules)
        pool = _nearest(service, request.computation)
        job = Job(
            id="plan",
            computation_id=request.computation.id,
            submitted_at_s=time.time(),
            name=request.job.name,
            objective=request.job.objective(),
            constraints=request.job.constraints(pool),
            resilience=request.job.resilience(),
            max_parts=request.parts,
        )
        told.outlook = outlook(job, request.computation, pool, predictor, request.job.objective())


def _nearest(service: Service, computation: Computation) -> Sequence[Resource]:
    """Return the resources that work can run on; of many, the quickest and the cheapest."""
    pool = service.pool()
    if len(pool) <= 2 * _EACH_WAY:
        return pool
    asked, (row,) = service.oracle.rows([computation])
    known = {one.id for one in pool}
    orders = (np.argsort(row.median_s, kind="stable"), np.argsort(row.cost_usd, kind="stable"))
    places = {int(place): None for order in orders for place in order[:_EACH_WAY]}
    return [asked[place] for place in places if asked[place].id in known]


def _predicted(computation: Computation, pool: Sequence[Resource], row: Row, place: int) -> Candidate:
    told = _candidate(pool, row, place)
    slow_s = np.full((1, 1, 1), told.runtime_p90_s)
    told.cost_p90_usd = float(costs_usd(slow_s, (pool[place],), [computation])[0, 0, 0])
    told.feasible = bool(row.feasible[place])
    return told


def _planned(computation: Computation, row: Row, pool: Sequence[Resource], objective: Objective, k: int) -> PlanAnswer:
    score = _scores(row, objective)
    order = _best(score, k)
    if not order:
        reason = "no resource has the memory" if pool else "no resource is known"
        return PlanAnswer(
            computation_id=computation.id, predicted_by=row.path, chosen=None, candidates=[], reason=reason
        )
    found = [_candidate(pool, row, place, float(score[place])) for place in order]
    return PlanAnswer(
        computation_id=computation.id, predicted_by=row.path, chosen=found[0].resource_id, candidates=found
    )


def _scores(row: Row, objective: Objective) -> Any:  # an array of floats [R]
    """Return the weighted median time and cost [R], each over its least; inf where the computation does not fit."""
    share_cost, share_latency, *_ = objective.shares()
    time_s, cost_usd = row.median_s, row.cost_usd
    score = time_s * ((share_latency + 1e-6) / float(time_s.min(initial=np.inf)))
    least = float(np.fmin.reduce(cost_usd, initial=np.inf)) if share_cost > 0 else np.inf
    if 0 < least < np.inf:
        score = score + np.nan_to_num(cost_usd * (share_cost / least))
    return score if row.feasible.all() else np.where(row.feasible, score, np.inf)


def _best(score: Any, k: int) -> list[int]:  # an array of floats [R]
    """Return the places of the k least finite scores, best first."""
    if k < len(score) // 4:
        near = np.argpartition(score, k)[:k]
        order = near[np.argsort(score[near], kind="stable")]
    else:
        order = np.argsort(score, kind="stable")[:k]
    return [place for place in order.tolist() if score[place] < np.inf]


def _candidate(pool: Sequence[Resource], row: Row, place: int, score: float | None = None) -> Candidate:
    low, middle, high = row.band_s(place)
    return Candidate(
        resource_id=pool[place].id,
        runtime_p10_s=low,
        runtime_p50_s=middle,
        runtime_p90_s=high,
        cost_usd=row.cost_usd.item(place),
        score=score,
        price_date=pool[place].price_date,
    )


def _ask(service: Service, body: bytes) -> Ask:
    try:
        ask = _decode_ask(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        ask = decode(body, Ask)  # says what is wrong
    most = service.settings.limits.batch
    if not 1 <= len(ask.computations) + len(ask.jobs) <= most:
        raise Problem(422, f"computations, jobs: together 1 to {most} must be given", kind="invalid")
    if not 1 <= ask.k <= 500:
        raise Problem(422, f"k: must be 1 to 500, got {ask.k}", kind="invalid")
    return ask


def _asked_about(service: Service, caller: Caller, ask: Ask) -> list[Computation]:
    known = service.live.jobs_of(caller.tenant).computations
    return [
        *(described(one, known.get(one.id)) for one in ask.computations),
        *(read_request(one, service.rules).computation for one in ask.jobs),
    ]


def described(body: ComputationBody, known: Computation | None) -> Computation:
    """Return a computation from its description; with an id alone the known one, 404 when there is none."""
    if not body.kernel:
        if known is None:
            raise Problem(404, f"no computation {body.id[:200]!r}; describe it with its kernel", kind="not-found")
        return known
    for name, value in body.demand.items():
        if value < 0:
            raise Problem(422, f"demand {name[:200]}: must not be negative, got {value}", kind="invalid")
    return Computation(
        id=body.id,
        kernel=body.kernel,
        size=body.size,
        demand=body.demand,
        memory_bytes=body.memory_bytes,
        input_bytes=body.input_bytes,
    )
