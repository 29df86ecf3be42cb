"""A job as the service tells it: its row, what was predicted, why it waits, and its result at the end."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import msgspec

from dnaml.answers.degraded import Degraded
from dnaml.answers.rows import OVER, job_row
from dnaml.core.attempt import AttemptState, JobState
from dnaml.core.errors import CorruptError, InputError
from dnaml.core.plan import Decision
from dnaml.engine import HEALTH
from dnaml.execution import messages
from dnaml.execution.capture import compare
from dnaml.execution.parts import joined
from dnaml.history import JobView
from dnaml.rest.live import Live
from dnaml.rest.results import plain_result, raised_by
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
    with_degraded(service, [told])
    told.repeat = repeat_verdict(service, view)
    if view.state not in (JobState.SUCCEEDED, JobState.FAILED):
        return told
    try:
        outcome = service.live.history.outcome(view)
    except CorruptError as error:
        told.result_note = str(error)
        return told
    if outcome is None:
        if view.state is JobState.SUCCEEDED and view.attempts:
            told.result, told.result_note = _joined_result(service, view)
        return told
    if view.state is JobState.SUCCEEDED:
        body, told.result_note = plain_result(outcome.result)
        told.result = msgspec.Raw(body) if body is not None else None
    else:
        told.traceback = outcome.traceback[-MOST_TRACEBACK:] or None
        told.raised = raised_by(outcome.exception)
    return told


def with_degraded(service: Service, jobs: Sequence[JobAnswer]) -> None:
    """Tell jobs what the engine cannot vouch for now; one look at the state folder."""
    try:
        health = msgspec.json.decode((service.engine.state.root / HEALTH).read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):  # nothing is degraded, or the engine is just writing
        return
    degraded = Degraded(health)
    for job in jobs:
        job.degraded = degraded.of(job)


def _joined_result(service: Service, view: JobView) -> tuple[Any, str | None]:  # JSON, or a note in its place
    """Return what the parts of a split job returned, one after the other; exit codes as one."""
    history, results = service.live.history, {}
    for attempt in view.attempts:
        if attempt.state is AttemptState.DONE and attempt.result is not None:
            outcome = messages.decode_outcome(history.stored_outcome(attempt.result))
            body, note = plain_result(outcome.result)
            if body is None:
                return None, note
            results[attempt.placement.start] = msgspec.json.decode(body)
    values = [results[start] for start in sorted(results)]
    codes = all(isinstance(value, int) for value in values)
    try:
        return joined(values, max if codes else None), None
    except InputError as error:
        return None, f"the results of the parts stay apart: {error}"


def repeat_verdict(service: Service, view: JobView) -> dict[str, Any] | None:  # JSON values
    """Say whether a job that repeats another ended as that did; `repeated` is null until it has ended."""
    note = service.repeats.get(view.id)
    if note is None:
        return None
    verdict: dict[str, Any] = {"of": note.of, "repeated": None, "differences": []}
    history = service.live.history
    if view.state in OVER:
        first, second = history.record(note.of).terminal, history.record(view.id).terminal
        if first is None or second is None:
            verdict |= {"repeated": False, "differences": [f"it is {view.state.value}: there is nothing to compare"]}
        else:
            found = compare(first, second, rtol=note.rtol, atol=note.atol)
            verdict |= {"repeated": found.repeated, "differences": list(found.differences)}
    return verdict


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
