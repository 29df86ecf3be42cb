"""What can be asked of a job while it runs or after: migrate, checkpoint, repeat."""

from typing import Any

import msgspec
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from dnaml.answers.rows import OVER
from dnaml.core.attempt import JobState
from dnaml.history import JobView
from dnaml.rest.auth import Scope
from dnaml.rest.bodies import decode
from dnaml.rest.declare import Declared, Routes, answer, body_of, caller_of, service_of
from dnaml.rest.problems import Problem
from dnaml.rest.routes.jobs import JobId
from dnaml.rest.schemas import AskedAnswer

routes = Routes("jobs")
_REFUSES = (400, 404, 409, 413, 415, 422)


class MigrateBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where a job should go on; without `to` the scheduler chooses."""

    to: str | None = None


class RepeatBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How far the numbers of the two results may differ."""

    rtol: float = 0.0
    atol: float = 0.0


class RepeatAnswer(msgspec.Struct, kw_only=True):
    """The job that repeats another; its `repeat` says at its end whether it did."""

    id: str
    of: str
    state: str


def _optional(raw: bytes, kind: Any) -> Any:  # a value of that type
    return decode(raw or b"{}", kind)


@routes.add(
    "POST",
    "/jobs/{job_id}/migrate",
    Declared(
        scope=Scope.SUBMIT,
        body=MigrateBody,
        answer=AskedAnswer,
        status=202,
        refuses=_REFUSES,
        example={"to": "gpu0"},
    ),
)
async def migrate_job(request: Request, job_id: JobId) -> Response:
    """Ask that a running job go on elsewhere, from its newest checkpoint."""
    service = service_of(request)
    view = _running(service.job(caller_of(request).tenant, job_id))
    wanted: MigrateBody = _optional(body_of(request), MigrateBody)
    if wanted.to is not None and not service.can_run_on(wanted.to):
        raise Problem(422, f"to: no resource {wanted.to[:200]!r} takes work", kind="invalid")
    service.migrate(view, wanted.to)
    return answer(AskedAnswer(id=view.id, state=view.state.value, asked="migrate"), 202)


@routes.add(
    "POST",
    "/jobs/{job_id}/checkpoint",
    Declared(scope=Scope.SUBMIT, answer=AskedAnswer, status=202, refuses=_REFUSES),
)
async def checkpoint_job(request: Request, job_id: JobId) -> Response:
    """Ask that a running job write a checkpoint at its next save; 409 for one that cannot."""
    service = service_of(request)
    view = _running(service.job(caller_of(request).tenant, job_id))
    if not view.computation.checkpointable:
        raise Problem(409, f"job {view.id}: its computation takes no context and saves nothing", kind="conflict")
    service.seal(view)
    return answer(AskedAnswer(id=view.id, state=view.state.value, asked="checkpoint"), 202)


@routes.add(
    "POST",
    "/jobs/{job_id}/repeat",
    Declared(
        scope=Scope.SUBMIT,
        body=RepeatBody,
        answer=RepeatAnswer,
        status=202,
        refuses=(*_REFUSES, 503),
        example={"rtol": 1e-6},
    ),
)
async def repeat_job(request: Request, job_id: JobId) -> Response:
    """Run a job that succeeded again from its initial state, and compare how the two ended."""
    service, tenant = service_of(request), caller_of(request).tenant
    view = service.job(tenant, job_id)
    wanted: RepeatBody = _optional(body_of(request), RepeatBody)
    if not (0 <= wanted.rtol < float("inf") and 0 <= wanted.atol < float("inf")):
        raise Problem(422, "rtol, atol: must not be negative", kind="invalid")
    if view.state is not JobState.SUCCEEDED:
        raise Problem(409, f"job {view.id}: only one that succeeded can repeat; it is {view.state.value}")
    new_id = await run_in_threadpool(service.repeat, view, wanted.rtol, wanted.atol)
    told = RepeatAnswer(id=new_id, of=view.id, state=JobState.PENDING.value)
    return answer(told, 202, Location=f"/api/v1/jobs/{new_id}")


def _running(view: JobView) -> JobView:
    if view.state is not JobState.RUNNING:
        ended = "has already ended" if view.state in OVER else "does not run yet"
        raise Problem(409, f"job {view.id} {ended}: it is {view.state.value}", kind="conflict")
    return view
