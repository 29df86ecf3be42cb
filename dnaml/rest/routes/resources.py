"""The pool: list it, look at one resource and its DNA, declare and withdraw."""

from typing import Annotated, Any

from fastapi import Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from dnaml.core.errors import InputError
from dnaml.core.resource import Resource
from dnaml.dna.space import SLOTS, resource_dna
from dnaml.rest.auth import Scope
from dnaml.rest.bodies import decode_object
from dnaml.rest.declare import Declared, Routes, answer, body_of, service_of
from dnaml.rest.pages import page_of
from dnaml.rest.schemas import DnaAnswer, ResourceAnswer, ResourcesPage
from dnaml.rest.service import Service
from dnaml.telemetry.declared import resource_from

routes = Routes("resources")
ResourceId = Annotated[str, Path(description="A resource's id.", max_length=200)]
_EXAMPLE = {"id": "gpu0", "kind": "gpu", "site": "cloud", "memory": "80GB", "price": 2.5, "labels": {"provider": "aws"}}
_BODY: dict[str, Any] = {  # JSON Schema
    "type": "object",
    "description": "A resource as in resources.toml, with its id.",
    "required": ["id"],
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": 200},
        "kind": {"enum": ["cpu", "gpu", "fpga", "asic"]},
        "site": {"enum": ["local", "on_prem", "cloud", "serverless"]},
        "slots": {"type": "integer", "minimum": 1},
        "memory": {"type": ["string", "number"]},
        "price": {"type": "number", "minimum": 0},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "spec": {"type": "object", "additionalProperties": {"type": "number"}},
    },
}


@routes.add("GET", "/resources", Declared(scope=Scope.READ, answer=ResourcesPage, refuses=(400, 422)))
async def list_resources(
    request: Request,
    after: Annotated[str | None, Query(alias="cursor", max_length=200, description="From a page's `next`.")] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="So many a page.")] = 100,
) -> Response:
    """List the resources of the pool, those where work can run first."""
    service = service_of(request)
    shown, following = page_of("resources", service.resources(), after, limit)
    return answer(ResourcesPage(items=[told_resource(service, one) for one in shown], next=following))


@routes.add(
    "POST",
    "/resources",
    Declared(
        scope=Scope.ADMIN,
        body=_BODY,
        answer=ResourceAnswer,
        status=201,
        refuses=(400, 413, 415, 422, 503),
        example=_EXAMPLE,
    ),
)
async def add_resource(request: Request) -> Response:
    """Declare a resource, or replace the description of one."""
    service = service_of(request)
    fields = decode_object(body_of(request))
    resource_id = fields.pop("id", None)
    if not isinstance(resource_id, str) or len(resource_id) > 200:
        raise InputError("id: must be text of at most 200 characters")
    resource = resource_from(resource_id, fields)
    await run_in_threadpool(service.add_resource, resource)
    return answer(told_resource(service, resource), 201)


@routes.add(
    "GET", "/resources/{resource_id:path}/dna", Declared(scope=Scope.READ, answer=DnaAnswer, refuses=(404, 422))
)
async def get_resource_dna(request: Request, resource_id: ResourceId) -> Response:
    """Return a resource's raw DNA: what was measured or declared of it, on one scale."""
    dna = resource_dna(service_of(request).resource(resource_id))
    return answer(DnaAnswer(id=resource_id, version=dna.version, slots=list(SLOTS), vector=dna.vector.tolist()))


@routes.add(
    "GET", "/resources/{resource_id:path}", Declared(scope=Scope.READ, answer=ResourceAnswer, refuses=(404, 422))
)
async def get_resource(request: Request, resource_id: ResourceId) -> Response:
    """Return one resource."""
    service = service_of(request)
    return answer(told_resource(service, service.resource(resource_id)))


@routes.add("DELETE", "/resources/{resource_id:path}", Declared(scope=Scope.ADMIN, status=204, refuses=(404, 422, 503)))
async def remove_resource(request: Request, resource_id: ResourceId) -> Response:
    """Withdraw a resource; what runs on it goes on elsewhere."""
    await run_in_threadpool(service_of(request).remove_resource, resource_id)
    return Response(status_code=204)


def told_resource(service: Service, one: Resource) -> ResourceAnswer:
    """Return a resource as clients see it."""
    return ResourceAnswer(
        id=one.id,
        kind=one.kind,
        site=one.site,
        unit_type=one.unit_type,
        domain=one.domain,
        slots=one.slots,
        memory_bytes=one.memory_bytes,
        price_usd_per_h=one.price_usd_per_h,
        price_date=one.price_date,
        startup_s=one.startup_s,
        latency_s=one.latency_s,
        bandwidth_bytes_per_s=one.bandwidth_bytes_per_s,
        power_w=one.power_w,
        spec=dict(one.spec),
        labels=dict(one.labels),
        cpu_quota_share=one.cpu_quota_share,
        description=one.description,
        available=service.can_run_on(one.id),
    )
