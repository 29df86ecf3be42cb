"""Computations: describe one, look at what is known of it, and at its DNA."""

from typing import Annotated, Any

import msgspec
from fastapi import Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from dnaml.core.work import Computation
from dnaml.dna.space import SLOTS, computation_dna
from dnaml.rest.auth import Scope
from dnaml.rest.bodies import decode, decode_object
from dnaml.rest.declare import Declared, Routes, answer, body_of, caller_of, service_of
from dnaml.rest.notes import DescribedNote
from dnaml.rest.problems import Problem
from dnaml.rest.routes.asking import ComputationBody, described
from dnaml.rest.schemas import DnaAnswer
from dnaml.rest.submitting import read_request

routes = Routes("computations")
ComputationId = Annotated[str, Path(description="A computation's id.", max_length=1000)]
_MOST = 10_000  # described by one tenant
_EXAMPLE = {"id": "fit-1", "kernel": "fit", "size": {"rows": 1e6}, "demand": {"fp64_flop": 1e12}}


class ComputationAnswer(msgspec.Struct, kw_only=True):
    """A computation as described, fingerprinted or run."""

    id: str
    kernel: str
    size: dict[str, float]
    demand: dict[str, float]
    memory_bytes: int | None
    input_bytes: int | None
    divisible: bool
    checkpointable: bool


@routes.add(
    "POST",
    "/computations",
    Declared(
        scope=Scope.SUBMIT,
        body=ComputationBody,
        answer=ComputationAnswer,
        status=201,
        refuses=(400, 413, 415, 422, 503),
        example=_EXAMPLE,
    ),
)
async def describe_computation(request: Request) -> Response:
    """Describe a computation, or name the one that a job (as in a job file, under `job`) would run."""
    service, tenant, raw = service_of(request), caller_of(request).tenant, body_of(request)
    values: dict[str, Any] = decode_object(raw)
    if set(values) == {"job"} and isinstance(values["job"], dict):
        found = (await run_in_threadpool(read_request, values["job"], service.rules)).computation
    else:
        body = decode(raw, ComputationBody)
        if not body.kernel:
            raise Problem(422, "kernel: must be given", kind="invalid")
        found = described(body, None)
    jobs = service.live.jobs_of(tenant)
    if len(jobs.computations) >= _MOST and found.id not in jobs.computations:
        raise Problem(422, f"at most {_MOST} computations are kept of a tenant", kind="invalid")
    await run_in_threadpool(service.notes.add, DescribedNote(tenant=tenant, computation=found))
    jobs.computations[found.id] = found
    return answer(_told(found), 201)


@routes.add(
    "GET", "/computations/{computation_id:path}/dna", Declared(scope=Scope.READ, answer=DnaAnswer, refuses=(404, 422))
)
async def get_computation_dna(request: Request, computation_id: ComputationId) -> Response:
    """Return a computation's raw DNA: which share of its demand lies on each axis."""
    dna = computation_dna(_known(request, computation_id))
    return answer(DnaAnswer(id=computation_id, version=dna.version, slots=list(SLOTS), vector=dna.vector.tolist()))


@routes.add(
    "GET",
    "/computations/{computation_id:path}",
    Declared(scope=Scope.READ, answer=ComputationAnswer, refuses=(404, 422)),
)
async def get_computation(request: Request, computation_id: ComputationId) -> Response:
    """Return what is known of a computation that one's tenant described or ran."""
    return answer(_told(_known(request, computation_id)))


def _known(request: Request, computation_id: str) -> Computation:
    found = service_of(request).known_computation(caller_of(request).tenant, computation_id)
    if found is None:
        raise Problem(404, f"no computation {computation_id[:200]!r}", kind="not-found")
    return found


def _told(one: Computation) -> ComputationAnswer:
    return ComputationAnswer(
        id=one.id,
        kernel=one.kernel,
        size=dict(one.size),
        demand=dict(one.demand),
        memory_bytes=one.memory_bytes,
        input_bytes=one.input_bytes,
        divisible=one.divisible,
        checkpointable=one.checkpointable,
    )
