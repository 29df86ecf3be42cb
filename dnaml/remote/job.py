"""What a service tells of a job, read: whether it is over, what it returned, what it failed with."""

from collections.abc import Mapping
from typing import Any

from dnaml.core.errors import ComputationFailed, ComputationStopped

OVER = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
BEGUN = frozenset({"RUNNING", "RECOVERING"})
Told = Mapping[str, Any]
"""a job as the service tells it: JSON values"""


class ServerTraceback(Exception):
    """Carries the worker's traceback as the cause of the exception that the caller sees."""

    def __str__(self) -> str:
        """Return the traceback as the worker printed it."""
        return f'\n"""\n{self.args[0]}"""'


def is_over(told: Told) -> bool:
    """Say whether a job has ended."""
    return told["state"] in OVER


def failure_of(told: Told) -> BaseException | None:
    """Return what an ended job raises; None for one whose result came."""
    job_id, note = told["id"], told.get("result_note")
    if told["state"] == "SUCCEEDED" and not note:
        return None
    if told["state"] == "CANCELLED":
        return ComputationStopped(f"job {job_id}: {told.get('error') or 'was cancelled'}")
    failed = ComputationFailed(f"job {job_id}: {told.get('error') or note}")
    if told.get("traceback"):
        failed.__cause__ = ServerTraceback(told["traceback"])
    return failed


def result_of(told: Told) -> Any:  # JSON values
    """Return what an ended job returned; raise what it raises."""
    failure = failure_of(told)
    if failure is not None:
        raise failure
    return told.get("result")
