"""The gate before every route: host and origin, token, rate, size and patience; and the last handler of all errors.

It is plain ASGI, so that a refusal costs next to nothing. Behind it a request has its caller and its whole body in
`scope["state"]`.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from dnaml.core.errors import DnamlError
from dnaml.rest.auth import COOKIE, LOCAL, Caller
from dnaml.rest.bodies import check_depth
from dnaml.rest.door import is_behind
from dnaml.rest.limits import Buckets
from dnaml.rest.problems import Problem, one_line, problem_of, response_of
from dnaml.rest.service import Service
from dnaml.rest.settings import is_loopback

Scope = MutableMapping[str, Any]  # ASGI's own values
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = frozenset({"/healthz", "/readyz"})
ARRIVED_S = "dnaml.arrived_s"  # in the scope: when the head of the request was read, on the monotonic clock
_MOST_AFTER_S = 30
_BODIES = frozenset({"POST"})
_log = logging.getLogger(__name__)


class Gate:
    """Wraps an application; `failures` counts the exceptions that only the last handler caught."""

    def __init__(self, app: Asgi, service: Callable[[], Service | None], limits: Any) -> None:  # Limits
        self.app = app
        self.failures = 0
        self.in_work = 0
        self.patient = 0  # streams, and requests that wait for something
        self.door: Asgi | None = None  # stands before the dashboard, where there is one, and asks for the token itself
        self.fast: dict[tuple[str, str], Callable[[Service, Caller, bytes], Awaitable[Any]]] = {}
        self._service, self._limits = service, limits
        self._buckets = Buckets(limits.requests_per_s, float(limits.burst), time.monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        started = False

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._admit(scope, receive, watched)
        except Problem as problem:
            await _refuse(problem, scope, receive, send, started=started)
        except DnamlError as error:
            await _refuse(problem_of(error), scope, receive, send, started=started)
        except Exception as error:  # noqa: BLE001  # the last handler: whatever it is, the client gets a problem
            self.failures += 1
            _log.exception("%s %s failed", scope.get("method", "WS"), one_line(scope["path"])[:200])
            await _refuse(problem_of(error), scope, receive, send, started=started)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        service, path = self._service(), scope["path"]
        headers = _headers(scope)
        state = scope.setdefault("state", {})
        door = self.door if is_behind(path) else None
        if service is None:
            if path in OPEN or door is not None:
                await (door or self.app)(scope, receive, send)
                return
            raise Problem(503, "the service is starting", kind="starting", headers={"Retry-After": "1"})
        check_host(headers, service.settings.host, service.settings.hosts)
        if path in OPEN:
            await self.app(scope, receive, send)
            return
        caller = identify(service, headers, scope.get("method", "GET"))
        state["caller"] = caller
        if door is not None:
            await door(scope, receive, send)
            return
        if caller is None:
            raise Problem(
                401, "a valid bearer token must be given", headers={"WWW-Authenticate": 'Bearer realm="dnaml"'}
            )
        if scope["type"] == "websocket":
            raise Problem(404, "there is no such socket")
        await self._serve(scope, receive, send, service, caller, headers)

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, service: Service, caller: Caller, headers: Mapping[str, str]
    ) -> None:
        wait_s = self._buckets.take(caller.tenant)
        if wait_s:
            raise Problem(429, f"{caller.tenant}: too many requests", headers={"Retry-After": str(wait_s)})
        late_s = time.monotonic() - scope.get(ARRIVED_S, math.inf)
        if late_s > self._limits.waited_s:  # the further behind, the longer they stay away: refusals cost time too
            after_s = min(math.ceil(2 * late_s), _MOST_AFTER_S)
            told = "the service has more requests than it can answer"
            raise Problem(429, told, headers={"Retry-After": str(after_s)})
        patient = _is_patient(scope)
        if patient and self.patient >= self._limits.streams:
            raise Problem(429, "too many streams are open", headers={"Retry-After": "5"})
        if not patient and self.in_work >= self._limits.requests_in_work:
            raise Problem(429, "too many requests are in work", headers={"Retry-After": "1"})
        self.patient += patient
        self.in_work += not patient
        try:
            method = scope["method"]
            body = b""
            if method in _BODIES:
                body = await self._body(receive, headers)
                check_depth(body, self._limits.body_depth)
            scope["state"]["body"] = body
            fast = self.fast.get((method, scope["path"]))
            if fast is not None:
                answer = await fast(service, caller, body)
                await answer(scope, receive, send)
            else:
                await self.app(scope, _given(body, receive), send)
        finally:
            self.patient -= patient
            self.in_work -= not patient

    async def _body(self, receive: Receive, headers: Mapping[str, str]) -> bytes:
        """Return a request's whole body, as long as it is not too long in bytes or seconds."""
        most = self._limits.body_bytes
        told = headers.get("content-length", "0")
        if not told.isdigit() or len(told) > 15:
            raise Problem(400, "Content-Length must be a number")
        if int(told) > most:
            raise _too_large(most)
        if headers.get("content-encoding", "identity") != "identity":
            raise Problem(415, "the body must not be compressed")
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.body_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Problem(400, "the client left before its body was complete")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > most:
                        raise _too_large(most)
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            raise Problem(408, "the body did not arrive in time", headers={"Connection": "close"}) from None


def identify(service: Service, headers: Mapping[str, str], method: str = "GET") -> Caller | None:
    """Return who asks: by bearer token, else by the dashboard's cookie, else this machine where that is enough."""
    given = headers.get("authorization")
    now_s = time.time()
    if given is not None:
        kind, _, token = given.partition(" ")
        return service.tokens.caller(token.strip(), now_s) if kind.casefold() == "bearer" else None
    cookie = headers.get("cookie")
    if cookie is not None and COOKIE in cookie:
        try:
            found = SimpleCookie(cookie).get(COOKIE)
        except CookieError:
            found = None
        if found is not None and (method == "GET" or "origin" in headers):  # SameSite, and its origin was checked
            return service.tokens.caller(found.value, now_s)
    return None if service.settings.needs_token else LOCAL


def check_host(headers: Mapping[str, str], bound: str, further: tuple[str, ...]) -> None:
    """Raise a Problem with status 403 for a request that a page of another site made: its names are not ours."""
    host = _hostname(headers.get("host", ""))
    if is_loopback(bound) and not (is_loopback(host) or host in further):
        raise Problem(403, "Host must name this machine", kind="foreign-host")
    origin = headers.get("origin")
    if origin is None:
        return
    try:
        named = (urlsplit(origin).hostname or "").casefold()
    except ValueError:
        named = ""
    same = bool(named) and (named == host or named in further or (is_loopback(named) and is_loopback(host)))
    if not same:
        raise Problem(403, "Origin must be this service", kind="foreign-origin")


def _is_patient(scope: Scope) -> bool:
    """Say whether a request asks to be kept waiting: an event stream, a followed log, the end of a job."""
    query = scope["query_string"]
    return scope["path"].endswith("/events") or b"wait_s" in query or b"follow" in query


def _hostname(host: str) -> str:
    """Return the name in a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].casefold()
    return host.partition(":")[0].casefold()


def _headers(scope: Scope) -> dict[str, str]:
    """Return the headers of a request by name; of those that came twice the last."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _given(body: bytes, receive: Receive) -> Receive:
    """Return a receive that gives the body which was already read, then what the connection says."""
    told = False

    async def again() -> MutableMapping[str, Any]:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _too_large(most: int) -> Problem:
    return Problem(413, f"the body must have at most {most} bytes", headers={"Connection": "close"})


async def _refuse(problem: Problem, scope: Scope, receive: Receive, send: Send, *, started: bool) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": problem.detail[:100]})
    elif not started:
        await response_of(problem, scope["path"])(scope, receive, send)
