"""Calls a plain HTTP function: POST JSON, read JSON, with limits on both and no redirect followed."""

import contextlib
import http.client
import json
import math
import socket
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

import msgspec

from dnaml.core.attempt import Cause
from dnaml.core.errors import ComputationFailed, InputError
from dnaml.execution import messages, pickling
from dnaml.execution.capture import terminal_state
from dnaml.execution.messages import Metered
from dnaml.execution.serverless.backoff import Again, Attempts, Refused, retry_after_s
from dnaml.execution.serverless.functions import HttpFunction
from dnaml.execution.serverless.invocation import Answer, Invocation, Verdict, nothing_metered
from dnaml.execution.serverless.references import request_body

_THROTTLED, _TOO_LARGE = 429, 413
_LONGEST_ERROR = 2000
_KEPT = ("cold_start", "cold_start_s", "billed_s", "instances")


class HttpCaller:
    """Calls one HTTP function; every invocation has a connection and a thread of its own."""

    def __init__(self, resource_id: str, function: HttpFunction) -> None:
        self._name, self._function = resource_id, function
        self._parts = urlsplit(function.url)
        self._tls = ssl.create_default_context() if self._parts.scheme == "https" else None
        self.idle_s, self.most_runtime_s = function.idle_s, function.most_runtime_s

    def refusal(self, invocation: Invocation) -> str:
        """Return why the function cannot take an invocation, before anything is sent."""
        try:
            size = len(request_body(invocation, messages.decode_payload(invocation.payload)))
        except InputError as error:
            return str(error)
        most = self._function.most_request_bytes
        return f"its request of {size} bytes is over the function's limit of {most}" if size > most else ""

    def close(self) -> None:
        """Do nothing: connections belong to their invocations."""

    def invoke(self, invocation: Invocation) -> Answer:
        """Call until there is an answer; a timeout may leave a first call running, whose answer nobody reads."""
        begun_s = time.monotonic()
        payload = messages.decode_payload(invocation.payload)
        body = request_body(invocation, payload)
        attempts = Attempts(self._function.retrying, invocation.stopped, invocation.deadline_s)
        try:
            said, called_s = attempts.make(lambda: self._call(invocation, body))
        except Refused as error:
            waited_s = time.monotonic() - begun_s
            over = invocation.deadline_s is not None and time.monotonic() >= invocation.deadline_s
            metered = nothing_metered(waited_s, calls=float(attempts.calls), throttled=float(attempts.throttled))
            return Answer(
                verdict=Verdict.FAILED if over else Verdict.LOST,
                metered=metered,
                error=f"{self._name}: {error}",
                cause=Cause.OVERRAN if over else None,
            )
        metered = _metered(said.get("metered"), called_s)
        metered.extra |= {
            "calls": float(attempts.calls),
            "throttled": float(attempts.throttled),
            "round_trip_s": called_s,
            "queue_s": max(0.0, time.monotonic() - begun_s - called_s),
        }
        return _answer(said, metered, payload.outputs)

    def _call(self, invocation: Invocation, body: bytes) -> tuple[dict[str, Any], float]:
        """Make one call; return the object it answered with and the seconds it took."""
        begun_s = time.monotonic()
        timeout_s = self._function.timeout_s
        if invocation.deadline_s is not None:
            timeout_s = max(0.001, min(timeout_s, invocation.deadline_s - begun_s))
        connection = self._connection(timeout_s)
        invocation.abort = lambda: _cut(connection)
        try:
            status, headers, data = self._exchange(connection, invocation, body, begun_s + timeout_s)
        except TimeoutError as error:
            raise Again(f"no answer within {timeout_s:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise Again(f"{self._function.url} does not answer: {error or type(error).__name__}") from error
        finally:
            connection.close()
        self._check_status(status, headers, len(body))
        return self._read(data, invocation), time.monotonic() - begun_s

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        assert self._parts.hostname is not None
        if self._tls is not None:
            return http.client.HTTPSConnection(
                self._parts.hostname, self._parts.port, timeout=timeout_s, context=self._tls
            )
        return http.client.HTTPConnection(self._parts.hostname, self._parts.port, timeout=timeout_s)

    def _exchange(
        self, connection: http.client.HTTPConnection, invocation: Invocation, body: bytes, until_s: float
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        path = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Idempotency-Key": f"{invocation.attempt_id}.{invocation.epoch}",
            **self._function.headers,
        }
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        most, data = self._function.most_answer_bytes, bytearray()
        while piece := response.read1(1 << 16):
            data += piece
            if len(data) > most:
                raise Refused(f"its answer is over the limit of {most} bytes")
            if time.monotonic() > until_s:
                raise TimeoutError
        if response.length:
            raise http.client.IncompleteRead(bytes(data), response.length)
        return response.status, response.headers, bytes(data)

    def _check_status(self, status: int, headers: http.client.HTTPMessage, size_bytes: int) -> None:
        if status == http.client.OK:
            return
        said = f"{self._function.url} answered {status} {http.client.responses.get(status, '')}".rstrip()
        if status == _THROTTLED or status >= 500:
            raise Again(said, after_s=retry_after_s(headers.get("Retry-After")), throttled=status == _THROTTLED)
        if status == _TOO_LARGE:
            raise Refused(f"{said}: the request of {size_bytes} bytes is over its provider's limit")
        if 300 <= status < 400:
            raise Refused(f"{said}: redirects are not followed; state the function's own url")
        raise Refused(said)

    def _read(self, data: bytes, invocation: Invocation) -> dict[str, Any]:
        """Return the answer as an object; raises Again on garbage and on another attempt's answer."""
        try:
            said = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise Again(f"{self._function.url} answered something that is not JSON") from error
        if not isinstance(said, dict) or ("result" in said) == ("error" in said):
            raise Again(f"{self._function.url} answered neither a result nor an error")
        named = (said.get("attempt_id", invocation.attempt_id), said.get("epoch", invocation.epoch))
        if named != (invocation.attempt_id, invocation.epoch):
            raise Again(f"{self._function.url} answered for attempt {named[0]} epoch {named[1]}")
        return said


def _answer(said: dict[str, Any], metered: Metered, outputs: tuple[str, ...]) -> Answer:
    """Return the answer as the engine keeps it: an Outcome whose result is plain JSON data, pickled."""
    if "error" in said:
        error, trace = _error(said["error"])
        raised = pickling.dumps_exception(ComputationFailed(error))
        outcome = messages.encode(messages.Outcome(b"", raised, trace, b""))
        return Answer(verdict=Verdict.FAILED, metered=metered, outcome=outcome, error=error)
    pickled = pickling.dumps(said["result"])
    terminal = msgspec.json.encode(terminal_state(said["result"], outputs=outputs))
    outcome = messages.encode(messages.Outcome(pickled, b"", "", terminal))
    return Answer(verdict=Verdict.DONE, metered=metered, outcome=outcome, digest=pickling.digest(pickled))


def _error(said: Any) -> tuple[str, str]:  # Any: whatever the function sent
    if isinstance(said, dict):
        kind, message = str(said.get("type", "Error")), " ".join(str(said.get("message", "")).split())
        return f"{kind}: {message}"[:_LONGEST_ERROR], str(said.get("traceback", ""))[-100_000:]
    return " ".join(str(said).split())[:_LONGEST_ERROR] or "Error", ""


def _metered(said: Any, called_s: float) -> Metered:  # Any: whatever the function sent
    """Return what the function says it used; what is not a number of seconds or bytes is left out."""
    rows = said if isinstance(said, dict) else {}
    numbers = {str(name): float(value) for name, value in rows.items() if _is_amount(value)}
    wall_s = min(numbers.pop("wall_s", called_s), called_s)
    cpu_s = numbers.pop("cpu_s", None)
    blocked_s = max(0.0, wall_s - cpu_s) if cpu_s is not None else wall_s
    peak_bytes = int(numbers.pop("peak_memory_bytes", 0.0))
    kept: dict[str, float] = {
        name: numbers[name] for name in ("cold_start", "cold_start_s", "billed_s", "instances") if name in numbers
    }
    return Metered(wall_s, cpu_s or 0.0, blocked_s, peak_bytes, kept)


def _is_amount(value: Any) -> bool:  # Any: one JSON value
    return isinstance(value, bool | int | float) and abs(value) < 1e18 and math.isfinite(value) and value >= 0


def _cut(connection: http.client.HTTPConnection) -> None:
    """Wake the thread that reads from a connection, whatever state that is in."""
    with contextlib.suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)
