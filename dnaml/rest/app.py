"""`create_app`: the application: the gate before all routes, the routes, the document, the service behind them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from dnaml.rest import openapi, problems
from dnaml.rest.gate import Gate
from dnaml.rest.metrics import Metrics
from dnaml.rest.routes import actions, asking, computations, events, jobs, market, operations, resources
from dnaml.rest.service import Service
from dnaml.rest.settings import ServiceSettings

GROUPS = (
    market.routes,  # before the resources: their ids may hold slashes, and /probe is no part of one
    jobs.routes,
    actions.routes,
    events.routes,
    resources.routes,
    computations.routes,
    asking.routes,
    operations.routes,
)


def create_app(settings: ServiceSettings, service: Service | None = None) -> FastAPI:
    """Return the application; without a `service` it opens one at its start and closes it at its end.

    `app.state.service` is the service (from the start on), `app.state.gate` the gate in front of it.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        opened = None
        if app.state.service is None:
            opened = app.state.service = await run_in_threadpool(Service, settings)
            app.state.metrics = Metrics(opened)
        try:
            yield
        finally:
            if opened is not None:
                await run_in_threadpool(opened.close)

    app = FastAPI(
        title="dnaml",
        version="1",
        description="Learns how fast each computation runs on each machine, and places work by what it learned.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.service = service
    app.state.metrics = None if service is None else Metrics(service)
    problems.install(app)
    for group in GROUPS:
        app.include_router(group.router)
    openapi.install(app, GROUPS)

    def behind(inner: Gate) -> None:
        app.state.gate = inner
        inner.fast["POST", "/api/v1/plans"] = asking.plan_at_once

    app.add_middleware(_Gate, service=lambda: app.state.service, limits=settings.limits, ready=behind)
    return app


class _Gate(Gate):
    """The gate, made known to the application when it is built."""

    def __init__(self, app, service, limits, ready) -> None:  # type: ignore[no-untyped-def]
        super().__init__(app, service, limits)
        ready(self)
