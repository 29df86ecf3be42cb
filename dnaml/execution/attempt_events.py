"""How what happened to an attempt in a worker process is told to the controller."""

from dnaml.core.attempt import Attempt, AttemptState, Cause, Checkpoint, Stored, Usage
from dnaml.core.events import AttemptEnded, AttemptStarted, CheckpointSealed
from dnaml.execution import messages
from dnaml.execution.deaths import Death
from dnaml.execution.process import Given, WorkerProcess

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


def ended_by_death(at_s: float, given: Given, death: Death) -> AttemptEnded:
    """Return the end of the attempt that ran in a worker when it died; it used at least what it had told."""
    return AttemptEnded(
        at_s=at_s,
        attempt_id=given.attempt_id,
        epoch=given.epoch,
        outcome=AttemptState.FAILED if death.own_doing else AttemptState.LOST,
        usage=Usage(wall_s=given.used_s),
        error=death.told,
        cause=death.cause,
    )


def sealed_by_message(at_s: float, message: messages.Sealed) -> CheckpointSealed:
    """Return that a worker has brought a checkpoint to the disk."""
    checkpoint = Checkpoint(
        id=message.checkpoint_id,
        attempt_id=message.attempt_id,
        taken_at_s=at_s,
        progress=message.progress,
        size_bytes=message.size_bytes,
    )
    return CheckpointSealed(
        at_s=at_s,
        attempt_id=message.attempt_id,
        epoch=message.epoch,
        checkpoint=checkpoint,
        write_s=message.write_s,
    )


def ended_by_message(
    at_s: float, message: messages.Ended, stored: Stored | None, cause: Cause | None = None
) -> AttemptEnded:
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
        cause=cause,
    )
