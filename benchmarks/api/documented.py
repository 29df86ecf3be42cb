"""Requests made from the OpenAPI document by schemathesis: is every answer one that the document describes."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
LEFT_OUT = ("/probe", "/models/train", "/models", "/events", "/follow")
"""ends of paths that measure this machine, start processes or do not end"""


@dataclass(slots=True)
class Sent:
    """How many requests were sent to how many operations, and what the checks complained about."""

    sent: int = 0
    operations: int = 0
    broken: list[str] = field(default_factory=list)


def sent_to(app: Any, count: int, *, seed: int) -> Sent:  # an application with its document
    """Send about so many requests, as many to each operation, and return what came of it."""
    found = Sent()
    schema = schemathesis.openapi.from_dict(app.openapi())
    found_all: list[Any] = list(schema.get_all_operations())
    every = [one.ok() for one in found_all]
    operations = [one for one in every if not one.path.endswith(LEFT_OUT)]
    found.operations = len(operations)
    with asyncio.Runner() as runner:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost:8750")
        for operation in operations:
            _ask(operation, runner, client, -(-count // len(operations)), seed, found)
        runner.run(client.aclose())
    return found


def _ask(operation: Any, runner: asyncio.Runner, client: httpx.AsyncClient, count: int, by: int, found: Sent) -> None:
    """Send requests to one operation; schemathesis gives its types no names that could be written here."""

    def check(case: schemathesis.Case[Any]) -> None:
        found.sent += 1
        asked = case.as_transport_kwargs(base_url="http://localhost:8750")
        asked.pop("cookies", None)
        answer = runner.run(client.request(**asked))
        try:
            case.validate_response(schemathesis.Response.from_any(answer), checks=CHECKS)
        except AssertionError as error:
            found.broken.append(f"{operation.method} {operation.path}: {error}"[:500])

    run = settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )(given(case=operation.as_strategy())(check))
    seeded(by)(run)()
