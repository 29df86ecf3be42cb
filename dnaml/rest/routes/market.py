"""The rest: forecast of what waits, dated prices, models and their training, probes."""

from pathlib import Path as FilePath
from typing import Annotated, Any

import msgspec
from fastapi import Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from dnaml.answers.prices import providers
from dnaml.rest.auth import Scope
from dnaml.rest.bodies import decode
from dnaml.rest.confine import below
from dnaml.rest.declare import Declared, Routes, answer, body_of, caller_of, service_of
from dnaml.rest.forecasting import forecast_of
from dnaml.rest.pages import page_of
from dnaml.rest.problems import Problem
from dnaml.rest.routes.resources import ResourceId, told_resource
from dnaml.rest.schemas import ResourceAnswer
from dnaml.scaling.told import ScalingTold

routes = Routes("market")


class ForecastRow(msgspec.Struct, kw_only=True):
    """When a job is expected to start and end, in seconds from now; null where nothing is planned."""

    id: str
    name: str
    state: str
    resource_id: str | None
    start_in_s: float | None
    end_in_s_p10: float | None
    end_in_s: float | None
    end_in_s_p90: float | None
    why: str


class ForecastAnswer(msgspec.Struct, kw_only=True):
    """The unfinished jobs of one's tenant, running ones first; `waiting` counts all, also those not shown.

    `scaling` is the forecast of all demand and what is done about it; null where the service does not scale.
    """

    waiting: int
    items: list[ForecastRow]
    scaling: ScalingTold | None


class PriceRow(msgspec.Struct, kw_only=True):
    """What a machine costs, when and by whom that was said."""

    id: str
    provider: str
    region: str
    instance_type: str
    usd_per_h: float | None
    spot: bool
    price_date: str
    source: str
    vcpus: float | None
    memory_bytes: int | None
    accelerator: str
    accelerator_count: float | None


class ProviderRow(msgspec.Struct, kw_only=True):
    """How many prices are known of a provider, and from when."""

    provider: str
    prices: int
    regions: int
    dates: list[str]


class PricesPage(msgspec.Struct, kw_only=True):
    """One page of prices, cheapest first; `providers` sums all up where that was asked for."""

    items: list[PriceRow]
    next: str | None
    providers: list[ProviderRow] | None = None


class TrainBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to learn from: a run table below the service's folder, or (without one) the runs of this service."""

    table: str | None = None
    name: str = "dnaml"
    seed: int = 0


class TrainingAnswer(msgspec.Struct, kw_only=True):
    """A training: running, done or failed, with what it said."""

    state: str
    name: str
    started_at_s: float
    detail: str = ""


class ModelsAnswer(msgspec.Struct, kw_only=True):
    """Every registered model with its versions, newest first, and the last training."""

    models: dict[str, list[str]]
    training: TrainingAnswer | None


@routes.add("GET", "/forecast", Declared(scope=Scope.READ, answer=ForecastAnswer, refuses=(422,)))
async def get_forecast(
    request: Request, limit: Annotated[int, Query(ge=1, le=200, description="So many waiting jobs.")] = 50
) -> Response:
    """Say when the unfinished jobs of one's tenant are expected to start and end, with a band of 10 to 90 %."""
    service = service_of(request)
    waiting, found = await run_in_threadpool(forecast_of, service, caller_of(request).tenant, limit)
    scaling = service.scaling.told() if service.scaling is not None else None
    return answer({"waiting": waiting, "items": found, "scaling": scaling})


@routes.add("GET", "/prices", Declared(scope=Scope.READ, answer=PricesPage, refuses=(400, 422, 500)))
async def list_prices(
    request: Request,
    provider: Annotated[str | None, Query(max_length=100)] = None,
    region: Annotated[str | None, Query(max_length=100)] = None,
    instance_type: Annotated[str | None, Query(max_length=100, description="The beginning of a type.")] = None,
    accelerator: Annotated[str | None, Query(max_length=100)] = None,
    cpus: Annotated[float | None, Query(ge=0, le=1e6, description="At least so many virtual cores.")] = None,
    memory_bytes: Annotated[int | None, Query(ge=0, le=1 << 60, description="At least so much memory.")] = None,
    spot: Annotated[bool, Query(description="Spot prices instead of on demand.")] = False,
    summary: Annotated[bool, Query(description="Say also how many prices are known of each provider.")] = False,
    after: Annotated[str | None, Query(alias="cursor", max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    """List dated prices of machines, cheapest first."""
    from dnaml.datasets.catalog import PriceQuery, load_prices

    query = PriceQuery(
        provider=provider,
        region=region,
        instance_type=instance_type,
        accelerator=accelerator,
        least_vcpus=cpus,
        least_memory_bytes=memory_bytes,
        spot=spot,
    )
    state = service_of(request).settings.state
    found = await run_in_threadpool(lambda: load_prices(state).find(query))
    shown, following = page_of("prices", found, after, limit)
    rows = [
        PriceRow(
            id=one.id,
            provider=one.provider,
            region=one.region,
            instance_type=one.instance_type,
            usd_per_h=one.usd_per_h(spot=spot),
            spot=spot,
            price_date=one.date_text,
            source=one.source,
            vcpus=one.vcpus,
            memory_bytes=one.memory_bytes,
            accelerator=one.accelerator,
            accelerator_count=one.accelerator_count,
        )
        for one in shown
    ]
    told = await run_in_threadpool(lambda: providers(load_prices(state))) if summary else None
    return answer({"items": rows, "next": following, "providers": told})


@routes.add("GET", "/models", Declared(scope=Scope.READ, answer=ModelsAnswer, refuses=(501,)))
async def list_models(request: Request) -> Response:
    """List the registered models, and say how the last training stands."""
    service = service_of(request)

    def registered() -> dict[str, Any]:
        from dnaml import tracking

        return dict(tracking.models(store=tracking.store_of(service.settings.state)))

    return answer({"models": await run_in_threadpool(registered), "training": service.trainings.last()})


@routes.add(
    "POST",
    "/models/train",
    Declared(
        scope=Scope.ADMIN,
        body=TrainBody,
        answer=TrainingAnswer,
        status=202,
        refuses=(400, 409, 413, 415, 422),
        example={"name": "dnaml", "seed": 0},
    ),
)
async def train_model(request: Request) -> Response:
    """Learn a model in a process of its own and register it; 409 while one is being learned."""
    service = service_of(request)
    wanted: TrainBody = decode(body_of(request) or b"{}", TrainBody)
    if not (wanted.name.isidentifier() and len(wanted.name) <= 64 and 0 <= wanted.seed < 1 << 31):
        raise Problem(422, "name, seed: must be an identifier and a number from 0 to 2147483647", kind="invalid")
    table: FilePath | None = None
    if wanted.table is not None:
        table = below(service.rules.root, wanted.table, what="table")
        if not (table.is_file() and table.suffix in (".csv", ".parquet")):
            raise Problem(422, "table: no such .csv or .parquet file", kind="invalid")
    started = service.trainings.start(table, name=wanted.name, seed=wanted.seed)
    if started is None:
        raise Problem(409, "a model is being learned already", kind="conflict")
    return answer(started, 202)


@routes.add(
    "POST",
    "/resources/{resource_id:path}/probe",
    Declared(scope=Scope.ADMIN, answer=ResourceAnswer, refuses=(404, 409, 413, 415, 422, 503)),
)
async def probe_resource(request: Request, resource_id: ResourceId) -> Response:
    """Measure a resource of this machine with micro-probes, about four seconds, and keep its profile."""
    service = service_of(request)
    probed = await run_in_threadpool(service.probe, resource_id)
    return answer(told_resource(service, probed))
