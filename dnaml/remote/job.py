"""What a service tells of a job, read: whether it is over, what it returned, what it failed with.

An exception is made again only where its type is one of Python's own or of dnaml's: those stand in a fixed table, and
nothing is imported because a service named it.
"""

import builtins
from collections.abc import Mapping
from typing import Any

from dnaml.core import errors
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


class RemoteError(ComputationFailed):
    """Says that a job's code raised an exception whose type is not made again here.

    `type_name` is that type's full name, `message` what it said, `traceback` where.
    """

    def __init__(self, text: str, *, type_name: str, message: str, traceback: str) -> None:
        super().__init__(text)
        self.type_name, self.message, self.traceback = type_name, message, traceback


_SENTINELS = (StopIteration, StopAsyncIteration)  # they mean something else to whoever waits for a future
_MADE_AGAIN: dict[str, type[Exception]] = {
    f"{kind.__module__}.{name}": kind
    for module in (builtins, errors)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, _SENTINELS)
}
"""full name of a type -> the type"""


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
    failed = _raised(told) or ComputationFailed(f"job {job_id}: {told.get('error') or note}")
    if told.get("traceback"):
        failed.__cause__ = ServerTraceback(told["traceback"])
    return failed


def _raised(told: Told) -> Exception | None:
    """Return the exception that a job's code raised, as itself or as a RemoteError; None where none is told."""
    line, raised = str(told.get("error") or ""), told.get("raised") or {}
    name, _, message = line.partition(": ")
    kind, args = _MADE_AGAIN.get(raised.get("type", "")), raised.get("args")
    if kind is not None and args is not None:
        try:
            return kind(*args)
        except TypeError:  # it takes other arguments than it keeps
            pass
    trace = told.get("traceback") or ""
    if not raised and not (trace and name.isidentifier()):
        return None
    type_name = raised.get("type", name)
    return RemoteError(f"job {told['id']}: {line}", type_name=type_name, message=message, traceback=trace)
