"""The OpenAPI 3.1 document: FastAPI's paths and parameters, our bodies, answers and refusals, made once."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response

from dnaml.rest.auth import Scope
from dnaml.rest.declare import Declared, Routes
from dnaml.rest.problems import MEDIA_TYPE, ProblemBody

Document = dict[str, Any]  # JSON values
_REF = "#/components/schemas/{name}"
_EVERYWHERE = (401, 403, 429, 500)
_WITH_BODY = (400, 408, 413, 415)
_TITLES = {
    400: "The request is malformed.",
    401: "No valid token.",
    403: "Not allowed to this token, or from this origin.",
    404: "No such thing, or another tenant's.",
    408: "The body did not arrive in time.",
    409: "It conflicts with what there is.",
    413: "The body is too large.",
    415: "The body is of a kind that is not read.",
    422: "The request breaks a stated rule.",
    429: "Too much at once; see Retry-After.",
    500: "The service failed.",
    501: "Something optional is not installed.",
    503: "The service takes nothing at present; see Retry-After.",
}


def install(app: FastAPI, groups: Iterable[Routes]) -> None:
    """Make the application serve its document at /openapi.json."""
    groups = tuple(groups)
    made: list[bytes] = []

    def document() -> Document:
        if app.openapi_schema is None:
            app.openapi_schema = build(app, groups)
        return app.openapi_schema

    async def serve() -> Response:
        """Return this document."""
        if not made:
            made.append(msgspec.json.encode(document()))
        return Response(made[0], media_type="application/json")

    app.openapi = document  # type: ignore[method-assign]
    app.add_api_route("/openapi.json", serve, methods=["GET"], tags=["operations"], operation_id="get_openapi")


def build(app: FastAPI, groups: Iterable[Routes]) -> Document:
    """Return the document of an application."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, openapi_version="3.1.0"
    )
    declared = {key: one for group in groups for key, one in group.declared.items()}
    kinds = {kind for one in declared.values() for kind in (one.body, one.answer) if isinstance(kind, type)}
    ordered = sorted(kinds | {ProblemBody}, key=lambda kind: kind.__name__)
    _, components = msgspec.json.schema_components(ordered, ref_template=_REF)
    paths = document["paths"]
    for (method, path), one in declared.items():
        own = _WITH_BODY if method == "POST" else ()
        _complete(paths[path.replace(":path}", "}")][method.lower()], replace(one, refuses=(*one.refuses, *own)))
    _complete(paths["/openapi.json"]["get"], Declared(scope=Scope.READ, answer={"type": "object"}))
    security = {"bearer": {"type": "http", "scheme": "bearer", "description": "`dnaml token create` makes one."}}
    document["components"] = {"schemas": components, "securitySchemes": security}
    return document


def _complete(operation: Document, declared: Declared) -> None:
    """Add to an operation what was declared of it."""
    responses: Document = {str(declared.status): {"description": "Done."}}
    if declared.answer is not None:
        content = {declared.media_type: {"schema": _schema(declared.answer)}}
        for status in (declared.status, *declared.further):
            responses[str(status)] = {"description": "Done." if status < 400 else _TITLES[status], "content": content}
    refuses = (*declared.refuses, *(() if declared.scope is None else _EVERYWHERE))
    if declared.body is not None:
        media: Document = {"schema": _schema(declared.body)}
        if declared.example is not None:
            media["example"] = declared.example
        operation["requestBody"] = {"required": True, "content": {"application/json": media}}
    if declared.scope is None:
        refuses = (403, 500, 503)
    else:
        operation["security"] = [{"bearer": [declared.scope.value]}]
        operation["x-dnaml-scope"] = declared.scope.value
    problem = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(name="ProblemBody")}}}
    for status in sorted(set(refuses)):
        responses.setdefault(str(status), {"description": _TITLES[status], "content": problem})
    operation["responses"] = responses


def _schema(kind: Any) -> Document:
    if isinstance(kind, dict):
        return kind
    return {"$ref": _REF.format(name=kind.__name__)}
