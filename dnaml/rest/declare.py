"""Declares a route once: its handler, the scope it needs, and what the OpenAPI document says of bodies and answers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dnaml.rest.auth import Caller, Scope
from dnaml.rest.problems import Problem
from dnaml.rest.service import Service

PREFIX = "/api/v1"
Handler = Callable[..., Response | Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What the document says of a route beyond its parameters."""

    scope: Scope | None
    body: Any = None  # a type, or a JSON Schema
    answer: Any = None
    status: int = 200
    refuses: tuple[int, ...] = ()
    example: Any = None
    media_type: str = "application/json"
    further: tuple[int, ...] = ()


class Routes:
    """A router, and what was declared of its routes by (method, path)."""

    def __init__(self, tag: str, prefix: str = PREFIX) -> None:
        self.router = APIRouter(tags=[tag], prefix=prefix)
        self.declared: dict[tuple[str, str], Declared] = {}
        self._prefix = prefix

    def add(self, method: str, path: str, declared: Declared) -> Callable[[Handler], Handler]:
        """Register a handler; its docstring is what the document says of it."""

        def register(handler: Handler) -> Handler:
            needed = [Depends(_needs(declared.scope))] if declared.scope is not None else []
            self.router.add_api_route(
                path,
                handler,
                methods=[method],
                status_code=declared.status,
                response_model=None,
                response_class=Response,
                dependencies=needed,
                operation_id=handler.__name__,
                summary=(handler.__doc__ or "").split("\n", 1)[0],
                description="\n".join((handler.__doc__ or "").splitlines()[1:]).strip() or None,
            )
            self.declared[method, self._prefix + path] = declared
            return handler

        return register


def answer(value: Any, status: int = 200, **headers: str) -> Response:  # any value that msgspec can write
    """Return a value as JSON."""
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


def service_of(request: Request) -> Service:
    """Return the service behind an application."""
    found: Service = request.app.state.service
    return found


def caller_of(request: Request) -> Caller:
    """Return who asks; the gate has put it there."""
    found: Caller = request.state.caller
    return found


def body_of(request: Request) -> bytes:
    """Return the request's body; the gate has read it."""
    found: bytes = request.state.body
    return found


def _needs(scope: Scope) -> Callable[[Request], Awaitable[None]]:
    async def check(request: Request) -> None:
        caller = caller_of(request)
        if not caller.may(scope):
            raise Problem(403, f"the scope {scope.value} is needed, this token has {caller.scope.value}", kind="scope")

    return check
