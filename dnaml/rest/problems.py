"""Errors as `application/problem+json` (RFC 9457): one shape for every status, no stack trace, no secret."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from dnaml.core import errors

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:dnaml:problem:"
_log = logging.getLogger(__name__)


class ProblemBody(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a client reads of an error: `type` says which kind, `detail` what about this request."""

    type: str
    title: str
    status: int
    detail: str = ""
    instance: str = ""


class Problem(Exception):
    """Ends a request with a status and a sentence."""

    def __init__(self, status: int, detail: str, *, kind: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.kind, self.headers = status, detail, kind, dict(headers or {})


_STATUS: tuple[tuple[type[Exception], int, str], ...] = (
    (errors.RepeatedKeyError, 409, "idempotency-key"),
    (errors.NotFoundError, 404, "not-found"),
    (errors.InputError, 422, "invalid"),
    (errors.TransitionError, 409, "conflict"),
    (errors.StorageUnavailable, 503, "storage-unavailable"),
    (errors.StateFolderError, 503, "storage-unavailable"),
    (errors.CorruptError, 500, "corrupt"),
    (errors.MissingExtra, 501, "missing-extra"),
)


def problem_of(error: BaseException) -> Problem:
    """Return the problem that an error is to a client."""
    if isinstance(error, Problem):
        return error
    for kind, status, name in _STATUS:
        if isinstance(error, kind):
            after_s = getattr(error, "retry_after_s", 1.0)
            headers = {"Retry-After": str(max(1, round(after_s)))} if status == 503 else {}
            return Problem(status, one_line(str(error)), kind=name, headers=headers)
    return Problem(500, "the service failed at this request; it is in its log", kind="internal")


def response_of(problem: Problem, path: str = "") -> Response:
    """Return a problem as a response."""
    body = ProblemBody(
        type=TYPE + (problem.kind or _slug(problem.status)),
        title=_title(problem.status),
        status=problem.status,
        detail=problem.detail[:2000],
        instance=one_line(path)[:200],
    )
    return Response(msgspec.json.encode(body), problem.status, problem.headers, media_type=MEDIA_TYPE)


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Make an application of these routes answer every error it knows of as a problem."""

    async def known(request: Request, error: Exception) -> Response:
        return response_of(problem_of(error), request.url.path)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = {"Allow": _methods(routes, request)} if error.status_code == 405 else error.headers
        return response_of(Problem(error.status_code, str(error.detail), headers=headers), request.url.path)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return response_of(Problem(422, _first(error.errors()), kind="invalid"), request.url.path)

    app.add_exception_handler(Problem, known)
    app.add_exception_handler(errors.DnamlError, known)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)


def one_line(text: str) -> str:
    """Return text on one line without control codes, which terminals and logs would obey."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


def _methods(routes: Sequence[BaseRoute], request: Request) -> str:
    """Return every method that a path answers; each of them may be a route of its own."""
    of_path = [r for r in routes if isinstance(r, Route) and r.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted({method for route in of_path for method in route.methods or ()}))


def _first(found: Any) -> str:  # pydantic's list of errors
    told = []
    for error in found[:3]:
        where = ".".join(str(part) for part in error.get("loc", ()) if part not in ("query", "path", "header"))
        told.append(f"{where}: {error.get('msg', 'is not valid')}")
    return one_line("; ".join(told))


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _slug(status: int) -> str:
    return _title(status).casefold().replace(" ", "-")
