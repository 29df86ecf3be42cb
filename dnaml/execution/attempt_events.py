"""How what happened to an attempt in a worker process is told to the controller."""

from dnaml.core.attempt import Attempt, AttemptState, Stored, Usage
from dnaml.core.events import AttemptEnded, AttemptStarted
from dnaml.execution import messages
from dnaml.execution.process import WorkerProcess

_UNBEGUN = "unbegun"
_STATES = {
    "done": AttemptState.DONE,
    "failed": AttemptState.FAILED,
    "stopped": AttemptState.STOPPED,
    _UNBEGUN: AttemptState.STOPPED,
}


def started(at_s: float, attempt: Attempt, worker: WorkerProcess | None) -> AttemptStarted:
    """Return the beginning of an attempt in a worker; None where no worker could be had."""
    return AttemptStarted(
        at_s=at_s,
        attempt_id=attempt.id,
        epoch=attempt.epoch,
        job_id=attempt.job_id,
        placement=attempt.placement,
        pid=worker.pid if worker is not None else None,
        log=worker.log if worker is not None else None,
        log_start=worker.log_bytes() if worker is not None else 0,
    )


def ended(
    at_s: float, attempt_id: str, epoch: int, outcome: AttemptState, error: str, *, began: bool = True
) -> AttemptEnded:
    """Return the end of an attempt of which nobody could measure anything."""
    return AttemptEnded(
        at_s=at_s,
        attempt_id=attempt_id,
        epoch=epoch,
        outcome=outcome,
        usage=Usage(wall_s=0.0),
        error=error,
        began=began,
    )


def ended_by_message(at_s: float, message: messages.Ended, stored: Stored | None) -> AttemptEnded:
    """Return the end of an attempt as its worker reported it, with the place where its outcome lies."""
    metered = message.metered
    return AttemptEnded(
        at_s=at_s,
        attempt_id=message.attempt_id,
        epoch=message.epoch,
        outcome=_STATES[message.state],
        usage=Usage(
            wall_s=metered.wall_s,
            cpu_s=metered.cpu_s,
            blocked_s=metered.blocked_s,
            peak_memory_bytes=metered.peak_memory_bytes,
            telemetry=metered.extra,
        ),
        error=message.error,
        result=stored,
        log=(message.log_start, message.log_end),
        began=message.state != _UNBEGUN,
    )
