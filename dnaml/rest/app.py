"""`create_app`: the application: the gate before all routes, the routes, the document, the service behind them."""

import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from dnaml.core.errors import DnamlError
from dnaml.dashboard.mount import mount
from dnaml.rest import openapi, problems
from dnaml.rest.door import Door
from dnaml.rest.gate import Gate
from dnaml.rest.metrics import Metrics
from dnaml.rest.reading import opener
from dnaml.rest.routes import actions, asking, computations, events, jobs, market, operations, resources, runs
from dnaml.rest.service import Service
from dnaml.rest.settings import ServiceSettings

GROUPS = (
    market.routes,  # before the resources: their ids may hold slashes, and /probe is no part of one
    jobs.routes,
    actions.routes,
    events.routes,
    runs.routes,
    resources.routes,
    computations.routes,
    asking.routes,
    operations.routes,
)


def create_app(settings: ServiceSettings, service: Service | None = None, *, page: bool = False) -> FastAPI:
    """Return the application; without a `service` it opens one at its start and closes it at its end.

    With `page` it has the dashboard at `/ui`, of which there can be one in a process; MissingExtra without the extra.
    `app.state.service` is the service (from the start on; of a standby from the moment on that it takes over, unless
    `app.state.failure` says why it cannot), `app.state.gate` the gate in front of it.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        given = app.state.service is not None
        if not given and settings.standby:
            threading.Thread(target=_open_later, args=(app, settings), name="dnaml-standby", daemon=True).start()
        elif not given:
            _opened(app, await run_in_threadpool(Service, settings))
        try:
            yield
        finally:
            if app.state.service is not None and not given:
                await run_in_threadpool(app.state.service.close)

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
    app.state.failure = None
    app.state.metrics = None if service is None else Metrics(service)
    problems.install(app, [route for group in GROUPS for route in group.router.routes])
    for group in GROUPS:
        app.include_router(group.router)
    openapi.install(app, GROUPS)
    if page:
        mount(app, opener(app))

    def behind(inner: Gate) -> None:
        app.state.gate = inner
        inner.fast["POST", "/api/v1/plans"] = asking.plan_at_once
        if page:
            inner.door = Door(
                inner.app,
                caller_of=lambda token: app.state.service.tokens.caller(token, time.time()),
                opened=lambda: app.state.service is not None,
            )

    app.add_middleware(_Gate, service=lambda: app.state.service, limits=settings.limits, ready=behind)
    return app


def _opened(app: FastAPI, service: Service) -> None:
    app.state.metrics = Metrics(service)
    app.state.service = service


def _open_later(app: FastAPI, settings: ServiceSettings) -> None:
    """Open the service when the engine before it has gone; until then requests are told that it is starting."""
    try:
        _opened(app, Service(settings))
    except DnamlError as error:
        app.state.failure = error
        signal.raise_signal(signal.SIGTERM)  # ends the server; whoever runs it finds the failure


class _Gate(Gate):
    """The gate, made known to the application when it is built."""

    def __init__(self, app, service, limits, ready) -> None:  # type: ignore[no-untyped-def]
        super().__init__(app, service, limits)
        ready(self)
