"""Streams: what happens to one job, to all jobs of a tenant, and what a job writes."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from dnaml.answers.rows import OVER
from dnaml.history import JobView
from dnaml.rest.auth import Scope
from dnaml.rest.declare import Declared, Routes, caller_of, service_of
from dnaml.rest.hub import Told
from dnaml.rest.routes.jobs import JobId
from dnaml.rest.service import Service
from dnaml.rest.streams import MEDIA_TYPE, event_stream, number_after

routes = Routes("events")
LastId = Annotated[
    str | None, Header(alias="Last-Event-ID", max_length=40, description="Go on after the event of this id.")
]
_STREAM = Declared(scope=Scope.READ, answer={"type": "string"}, media_type=MEDIA_TYPE, refuses=(400, 422))
_LOOK_S = 0.3
_CHUNK_BYTES = 1 << 18


@routes.add("GET", "/events", _STREAM)
async def stream_events(
    request: Request,
    last_event_id: LastId = None,
    once: Annotated[bool, Query(description="End after what is known now.")] = False,
) -> Response:
    """Stream what happens to the jobs of one's tenant and to the pool, as server-sent events."""
    service, tenant = service_of(request), caller_of(request).tenant
    hub = service.live.hub
    asked = number_after(last_event_id)

    def news(after: int) -> Iterable[Told]:
        return [told for told in hub.since(after) if told.tenant == tenant or not told.job_id]

    after = hub.last if asked is None and not once else asked or 0
    beat_s = service.settings.limits.heartbeat_s
    return event_stream(hub, news, after=after, heartbeat_s=beat_s, over=lambda: once)


@routes.add(
    "GET",
    "/jobs/{job_id}/events",
    Declared(scope=Scope.READ, answer={"type": "string"}, media_type=MEDIA_TYPE, refuses=(400, 404, 422)),
)
async def stream_job_events(
    request: Request,
    job_id: JobId,
    last_event_id: LastId = None,
    once: Annotated[bool, Query(description="End after what is known now.")] = False,
) -> Response:
    """Stream what happens to one job, from its submission on, until it has ended."""
    service = service_of(request)
    view = service.job(caller_of(request).tenant, job_id)
    told = service.live.told

    def news(after: int) -> Iterable[Told]:
        return [one for one in told.get(view.id, ()) if one.number > after]

    def over() -> bool:
        return view.state in OVER and any(one.kind == "ended" for one in told.get(view.id, ()))  # the state comes first

    return event_stream(
        service.live.hub,
        news,
        after=number_after(last_event_id) or 0,
        heartbeat_s=service.settings.limits.heartbeat_s,
        over=lambda: once or over(),
    )


@routes.add(
    "GET",
    "/jobs/{job_id}/logs",
    Declared(scope=Scope.READ, answer={"type": "string"}, media_type="text/plain", refuses=(404, 422)),
)
async def get_logs(
    request: Request,
    job_id: JobId,
    follow: Annotated[bool, Query(description="Go on until the job ends.")] = False,
    offset: Annotated[int, Query(ge=0, le=1 << 50, description="Leave out so many bytes.")] = 0,
) -> Response:
    """Return what a job wrote, byte for byte, oldest attempt first."""
    service = service_of(request)
    view = service.job(caller_of(request).tenant, job_id)
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return StreamingResponse(
        _log(service, view, offset=offset, follow=follow), media_type="text/plain; charset=utf-8", headers=headers
    )


async def _log(service: Service, view: JobView, *, offset: int, follow: bool) -> AsyncIterator[bytes]:
    news = service.live.hub.subscribe()
    at: dict[str, int] = {}
    try:
        while True:
            over = view.state in OVER or service.draining or not follow
            for attempt in list(view.attempts):
                if attempt.log is None:
                    continue
                path = service.live.history.state.logs / attempt.log
                start = at.setdefault(attempt.id, attempt.log_start)
                while part := await run_in_threadpool(_read, path, start, attempt.log_end):
                    start = at[attempt.id] = start + len(part)
                    skipped = min(offset, len(part))
                    offset -= skipped
                    if part[skipped:]:
                        yield part[skipped:]
            if over:
                return
            await news.wait(_LOOK_S)
    finally:
        news.end()


def _read(path: FilePath, start: int, end: int | None) -> bytes:
    size = _CHUNK_BYTES if end is None else min(_CHUNK_BYTES, end - start)
    if size <= 0:
        return b""
    try:
        with path.open("rb") as log:
            log.seek(start)
            return log.read(size)
    except FileNotFoundError:
        return b""
