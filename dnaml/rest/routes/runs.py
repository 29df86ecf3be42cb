"""Every ended attempt of one's tenant as a row of the run table that predictors learn from."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from dnaml.datasets.table import run_row
from dnaml.rest.auth import Scope
from dnaml.rest.declare import Declared, Routes, answer, caller_of, service_of
from dnaml.rest.pages import page_of
from dnaml.rest.service import Service

routes = Routes("runs")


class RunsPage(msgspec.Struct, kw_only=True):
    """One page of runs, in the order in which their jobs came; columns are those of a run table, null is unknown."""

    items: list[dict[str, Any]]  # names of features are free: numbers, text, true and false
    next: str | None


@routes.add("GET", "/runs", Declared(scope=Scope.READ, answer=RunsPage, refuses=(400, 422)))
async def list_runs(
    request: Request,
    since_s: Annotated[float, Query(ge=0, le=1e12, description="Only runs that ended after this Unix time.")] = 0.0,
    after: Annotated[str | None, Query(alias="cursor", max_length=200, description="From a page's `next`.")] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="The runs of so many jobs a page.")] = 100,
) -> Response:
    """List what one's tenant ran, a row for each ended attempt; a page may be empty and have a next one."""
    service, tenant = service_of(request), caller_of(request).tenant
    ids, following = page_of("runs", service.live.jobs_of(tenant).ids, after, limit)
    rows = await run_in_threadpool(lambda: _rows(service, ids, since_s))
    return answer(RunsPage(items=rows, next=following))


def _rows(service: Service, ids: Sequence[str], since_s: float) -> list[dict[str, object]]:
    history = service.live.history
    views = [history.jobs[job_id] for job_id in ids]
    runs = [history.run(view, attempt) for view in views for attempt in view.attempts]
    return [run_row(run) for run in runs if run is not None and run.at_s >= since_s]
