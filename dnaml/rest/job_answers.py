"""A job as the service tells it: its row, what was predicted, why it waits, and its result at the end."""

from dataclasses import asdict

import msgspec

from dnaml.answers.rows import job_row
from dnaml.core.attempt import JobState
from dnaml.core.errors import CorruptError
from dnaml.core.plan import Decision
from dnaml.history import JobView
from dnaml.rest.live import Live
from dnaml.rest.results import plain_result
from dnaml.rest.schemas import JobAnswer, Predicted
from dnaml.rest.service import Service

MOST_TRACEBACK = 20_000


def job_answer(live: Live, view: JobView) -> JobAnswer:
    """Return a job without its result; takes some microseconds and reads no file."""
    decision = live.decision(view.id)
    return JobAnswer(
        **asdict(job_row(view, live.history)),
        waits_because=live.waits.get(view.id),
        predicted=_predicted(decision) if decision is not None else None,
    )


def whole_job(service: Service, view: JobView) -> JobAnswer:
    """Return a job with its result; reads it from the state folder."""
    told = job_answer(service.live, view)
    if view.state not in (JobState.SUCCEEDED, JobState.FAILED):
        return told
    try:
        outcome = service.live.history.outcome(view)
    except CorruptError as error:
        told.result_note = str(error)
        return told
    if outcome is None:
        return told
    if view.state is JobState.SUCCEEDED:
        body, told.result_note = plain_result(outcome.result)
        told.result = msgspec.Raw(body) if body is not None else None
    else:
        told.traceback = outcome.traceback[-MOST_TRACEBACK:] or None
    return told


def _predicted(decision: Decision) -> Predicted | None:
    if decision.chosen not in decision.resource_ids:
        return None
    at = decision.resource_ids.index(decision.chosen)
    return Predicted(
        resource_id=decision.chosen,
        runtime_p10_s=decision.runtime_p10_s[at],
        runtime_p50_s=decision.runtime_p50_s[at],
        runtime_p90_s=decision.runtime_p90_s[at],
        cost_usd=decision.cost_usd[at],
        by=decision.path,
    )
