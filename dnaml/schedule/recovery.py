"""Taking in stored events: what an earlier engine started is known from them, and stands in line again after it."""

from dnaml.core.attempt import Attempt, AttemptState, JobState
from dnaml.core.events import AttemptEnded, AttemptStarted
from dnaml.schedule.dispatch import Dispatch, attempt_id_of
from dnaml.schedule.parts import restore


def adopt(dispatch: Dispatch, event: AttemptStarted) -> None:
    """Take over an attempt that an earlier engine started.

    Where the job seems to have ended without a result, it had not: this attempt was on its way, though no event
    told of it yet. Unless another part of it, or a majority, had settled its end.
    """
    entry = dispatch.ledger.open.get(event.job_id) or dispatch.reopenable.get(event.job_id)
    if entry is None or event.epoch in entry.adopted or event.attempt_id != attempt_id_of(entry, event.epoch):
        return
    if entry.over:
        if entry.failed_part not in (None, event.placement.part):
            return
        entry.failed_part = None
        dispatch.ledger.reopen(dispatch.reopenable.pop(event.job_id))
    entry.adopted |= {event.epoch}
    if event.placement.parts > 1:
        restore(entry, event.placement)
    attempt = Attempt(
        id=event.attempt_id,
        epoch=event.epoch,
        job_id=event.job_id,
        computation_id=entry.computation.id,
        placement=event.placement,
        state=AttemptState.STARTING,
    )
    dispatch.ledger.leave_line(entry)
    dispatch.enter(entry, attempt, event.at_s, 0.0)


def note_unknown(dispatch: Dispatch, event: AttemptEnded) -> None:
    """Remember, from stored events, an attempt that ended without beginning: a late word of it was refused."""
    job_id = event.attempt_id.rpartition(".")[0]
    entry = dispatch.ledger.open.get(job_id) or dispatch.reopenable.get(job_id)
    if dispatch.recovering and entry is not None and event.attempt_id == attempt_id_of(entry, event.epoch):
        entry.adopted |= {event.epoch}


def resume(dispatch: Dispatch) -> None:
    """Put every open job back in line: the old engine's workers died with it."""
    dispatch.reopenable.clear()
    for entry in list(dispatch.ledger.attempts.values()):
        for attempt_id, attempt in list(entry.live.items()):
            dispatch.pool.end(attempt.placement.resource_id, attempt_id, lost=False)
            dispatch.leave(entry, attempt_id)
        if not entry.over and entry.stop_asked:
            dispatch.end_job(entry, JobState.CANCELLED, None, "stopped on request")
    for entry in dispatch.ledger.open.values():  # also those of which a part or a copy waited while another ran
        dispatch.planner.again(entry)
    for resource in dispatch.pool.resources:
        dispatch.pool.down(resource.id)
    dispatch.planner.changed()
