"""Requests made from the OpenAPI document by schemathesis: every answer is documented and of its documented shape."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.rest.conftest import Client

CASES = 10  # of each operation
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_requests_made_from_the_document_get_the_answers_that_it_describes(api: Client) -> None:
    sent = 0
    failures = api.app.state.gate.failures if hasattr(api.app.state, "gate") else 0
    schema = schemathesis.openapi.from_dict(api.app.openapi())

    def check(case: schemathesis.Case) -> None:
        nonlocal sent
        sent += 1
        asked = case.as_transport_kwargs(base_url="http://localhost:8750")
        asked.pop("cookies", None)
        answer = api.call(lambda client: client.request(**asked))
        case.validate_response(schemathesis.Response.from_any(answer), checks=CHECKS)

    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path.endswith(("/probe", "/models/train", "/models", "/events", "/follow")):
            continue  # these measure this machine, start processes or do not end
        run = settings(
            max_examples=CASES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )(given(case=operation.as_strategy())(check))
        seed(7)(run)()
    assert sent >= 200
    assert api.app.state.gate.failures == failures
