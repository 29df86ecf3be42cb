"""Jobs: submit one or many, look at them, page through them, cancel them."""

from typing import Annotated, Any

from fastapi import Header, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from dnaml.answers.decisions import decision_value
from dnaml.answers.rows import attempt_row
from dnaml.core.attempt import JobState
from dnaml.jobfile import schema
from dnaml.rest.auth import Scope
from dnaml.rest.bodies import decode, decode_object
from dnaml.rest.declare import Declared, Routes, answer, body_of, caller_of, service_of
from dnaml.rest.job_answers import job_answer, whole_job, with_degraded
from dnaml.rest.pages import cursor, place
from dnaml.rest.problems import Problem
from dnaml.rest.schemas import (
    AskedAnswer,
    AttemptsAnswer,
    BatchAnswer,
    DecisionAnswer,
    JobAnswer,
    JobsBatch,
    JobsPage,
    SubmitAnswer,
)
from dnaml.rest.service import Service

routes = Routes("jobs")
JobId = Annotated[str, Path(description="A job's id.", max_length=200)]
Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", max_length=200, description="The same key and body give the same job again."),
]
_EXAMPLE = {"name": "fit", "computation": "mypackage.train:fit", "args": {"trees": 200}, "objective": "min_cost"}


@routes.add(
    "POST",
    "/jobs",
    Declared(
        scope=Scope.SUBMIT,
        body=schema(),
        answer=SubmitAnswer,
        status=202,
        refuses=(400, 403, 409, 413, 415, 422, 503),
        example=_EXAMPLE,
    ),
)
async def submit_job(request: Request, idempotency_key: Key = None) -> Response:
    """Accept a job; when this answers, the job survives a crash of the service."""
    service, raw = service_of(request), body_of(request)
    values = decode_object(raw)
    ids = await run_in_threadpool(_submit, service, request, [values], idempotency_key)
    return answer(_accepted(service, ids[0]), 202, Location=f"/api/v1/jobs/{ids[0]}")


@routes.add(
    "POST",
    "/jobs/batch",
    Declared(
        scope=Scope.SUBMIT,
        body=JobsBatch,
        answer=BatchAnswer,
        status=202,
        refuses=(400, 403, 409, 413, 415, 422, 503),
        example={"jobs": [_EXAMPLE]},
    ),
)
async def submit_jobs(request: Request, idempotency_key: Key = None) -> Response:
    """Accept several jobs as one batch that is planned as a whole; all or none are accepted."""
    service = service_of(request)
    bodies = decode(body_of(request), JobsBatch).jobs
    if not 1 <= len(bodies) <= service.settings.limits.batch:
        raise Problem(422, f"jobs: must be 1 to {service.settings.limits.batch}, got {len(bodies)}", kind="invalid")
    ids = await run_in_threadpool(_submit, service, request, bodies, idempotency_key)
    return answer(BatchAnswer(items=[_accepted(service, job_id) for job_id in ids]), 202)


@routes.add("GET", "/jobs", Declared(scope=Scope.READ, answer=JobsPage, refuses=(400, 422)))
async def list_jobs(
    request: Request,
    state: Annotated[JobState | None, Query(description="Only jobs in this state.")] = None,
    after: Annotated[str | None, Query(alias="cursor", max_length=200, description="From a page's `next`.")] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="So many jobs a page.")] = 50,
) -> Response:
    """List the jobs of one's tenant, newest first; jobs that come meanwhile do not move the pages."""
    service, caller = service_of(request), caller_of(request)
    ids = service.live.jobs_of(caller.tenant).ids
    history = service.live.history
    index = min(place("jobs", after, len(ids)), len(ids))
    items: list[JobAnswer] = []
    while index > 0 and len(items) < limit:
        index -= 1
        view = history.jobs[ids[index]]
        if state is None or view.state is state:
            items.append(job_answer(service.live, view))
    with_degraded(service, items)
    return answer(JobsPage(items=items, next=cursor("jobs", index) if index > 0 else None, total=len(ids)))


@routes.add("GET", "/jobs/{job_id}", Declared(scope=Scope.READ, answer=JobAnswer, refuses=(404, 422)))
async def get_job(
    request: Request,
    job_id: JobId,
    wait_s: Annotated[float, Query(ge=0, le=60, description="Answer after so many seconds, or at its end.")] = 0.0,
) -> Response:
    """Return a job with its prediction, and its result once it succeeded."""
    service, caller = service_of(request), caller_of(request)
    view = service.job(caller.tenant, job_id)
    if wait_s > 0:
        await service.live.until_over(view, wait_s)
    return answer(await run_in_threadpool(whole_job, service, view))


@routes.add(
    "DELETE", "/jobs/{job_id}", Declared(scope=Scope.SUBMIT, answer=AskedAnswer, status=202, refuses=(404, 409, 422))
)
async def cancel_job(request: Request, job_id: JobId) -> Response:
    """Ask that a job end without a result; 409 when it has ended already."""
    view = service_of(request).cancel(caller_of(request).tenant, job_id)
    return answer(AskedAnswer(id=view.id, state=view.state.value, asked="cancel"), 202)


@routes.add("GET", "/jobs/{job_id}/decision", Declared(scope=Scope.READ, answer=DecisionAnswer, refuses=(404, 422)))
async def get_decision(request: Request, job_id: JobId) -> Response:
    """Show each candidate's time, cost and risk, and why it lost; 404 until the job was placed."""
    service = service_of(request)
    view = service.job(caller_of(request).tenant, job_id)
    decision = service.live.decision(view.id)
    if decision is None:
        decision = await run_in_threadpool(service.live.history.decision, view.id)
    return answer(decision_value(decision))


@routes.add("GET", "/jobs/{job_id}/attempts", Declared(scope=Scope.READ, answer=AttemptsAnswer, refuses=(404, 422)))
async def list_attempts(request: Request, job_id: JobId) -> Response:
    """List every try of a job, oldest first."""
    service = service_of(request)
    view = service.job(caller_of(request).tenant, job_id)
    rows = [attempt_row(attempt, service.live.history.resources) for attempt in list(view.attempts)]
    return answer({"items": rows})


def _submit(service: Service, request: Request, bodies: list[dict[str, Any]], key: str | None) -> list[str]:
    if key is not None and not (key.strip() and key.isascii() and key.isprintable()):
        raise Problem(400, "Idempotency-Key: must be printable ASCII text", kind="malformed")
    return service.submit(bodies, tenant=caller_of(request).tenant, key=key, raw=body_of(request))


def _accepted(service: Service, job_id: str) -> SubmitAnswer:
    view = service.live.history.jobs[job_id]
    return SubmitAnswer(
        id=view.id,
        state=view.state.value,
        name=view.job.name or view.computation.kernel,
        computation_id=view.computation.id,
    )
