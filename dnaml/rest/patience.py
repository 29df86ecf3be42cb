"""HTTP with an end to patience: slow heads, long heads, too many connections, and what is no request at all."""

import time
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dnaml.rest.gate import ARRIVED_S
from dnaml.rest.problems import Problem, response_of
from dnaml.rest.settings import Limits

_HEAD_BYTES = 64 << 10  # of one request; the chunk in which it ends may be longer


def protocol_for(limits: Limits) -> type[HttpToolsProtocol]:
    """Return a protocol that closes connections whose head does not come in time or to an end, and those too many."""
    return type("Patient", (_Patient,), {"limits": limits})


class _Patient(HttpToolsProtocol):
    """One connection."""

    limits: Limits

    # The parent is untyped inside; these are its own attributes.
    _late: Any = None
    _in_head, _head_bytes = True, 0
    scope: Any

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            transport.abort()
        else:
            self._late = self.loop.call_later(self.limits.header_s, self._too_late)

    def data_received(self, data: bytes) -> None:
        if self._late is None and (self.cycle is None or self.cycle.response_complete):
            self._late = self.loop.call_later(self.limits.header_s, self._too_late)
        if self._in_head:
            if self._head_bytes > _HEAD_BYTES:
                self._refuse(Problem(431, f"the head of a request may have {_HEAD_BYTES} bytes"))
                return
            self._head_bytes += len(data)
        super().data_received(data)

    def on_message_complete(self) -> None:
        self._in_head = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(Problem(400, "this is no HTTP/1.1 request", kind="malformed"))

    def on_headers_complete(self) -> None:
        self._punctual()
        self._in_head, self._head_bytes = False, 0
        self.scope[ARRIVED_S] = time.monotonic()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._punctual()
        super().connection_lost(exc)

    def _refuse(self, problem: Problem) -> None:
        """Answer what never became a request, and hang up."""
        answer = response_of(problem)
        lines = [b"HTTP/1.1 %d %s" % (problem.status, HTTPStatus(problem.status).phrase.encode())]
        lines += [b"%s: %s" % one for one in answer.raw_headers]
        self.transport.write(b"\r\n".join([*lines, b"connection: close", b"", bytes(answer.body)]))
        self.transport.close()

    def _punctual(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self) -> None:
        self._late = None
        if not self.transport.is_closing():
            self.transport.abort()
