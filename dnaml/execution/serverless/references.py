"""Reads a job's payload as plain data, without importing or running anything: a name and JSON arguments.

Pickle may name functions and classes; here a name stays a name. What would have to be built is refused.
"""

import io
import json
import pickle
from dataclasses import dataclass
from typing import Any

from dnaml.core.errors import InputError
from dnaml.execution import messages


@dataclass(frozen=True, slots=True)
class Reference:
    """A name in a pickle, which nobody followed."""

    module: str
    name: str


class _Names(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:  # Any: pickle's own signature
        return Reference(module, name)


def named_call(payload: messages.Payload) -> tuple[str, list[Any], dict[str, Any]]:
    """Return "module:function", positional and keyword arguments of a job.

    Raises InputError on a function that has no importable name, and on arguments that JSON cannot hold.
    """
    function = _read(payload.function, "its function")
    if not isinstance(function, Reference) or function.module == "__main__":
        raise InputError("an HTTP function is called by name: its work must be an importable module:function")
    if payload.wants_context:
        raise InputError(f"{function.module}:{function.name}: an HTTP function has no context to save progress with")
    args, kwargs = _read(payload.arguments, "its arguments")
    return f"{function.module}:{function.name}", list(args), dict(kwargs)


def request_body(invocation: Any, payload: messages.Payload) -> bytes:  # Any: an Invocation, or what looks like one
    """Return the JSON request of an invocation; raises InputError where the call cannot be said in JSON."""
    function, args, kwargs = named_call(payload)
    if invocation.parts > 1:
        raise InputError(f"{function}: an HTTP function takes whole jobs, not part {invocation.part}")
    request = {
        "function": function,
        "args": args,
        "kwargs": kwargs,
        "job_id": invocation.job_id,
        "attempt_id": invocation.attempt_id,
        "epoch": invocation.epoch,
    }
    try:
        return json.dumps(request, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise InputError(f"{function}: its arguments cannot be said in JSON: {error}") from error


def _read(body: bytes, what: str) -> Any:  # Any: whatever plain data the user gave
    try:
        return _Names(io.BytesIO(body)).load()
    except Exception as error:  # pickle raises anything on what it cannot build
        raise InputError(
            f"an HTTP function takes plain data and a named function; {what} would have to be built here"
        ) from error
