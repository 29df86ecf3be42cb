"""Requests made from the OpenAPI document by schemathesis: every answer is documented and of its documented shape."""

import pytest

from benchmarks.api.documented import sent_to
from tests.rest.conftest import Client

CASES = 1_000


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_requests_made_from_the_document_get_the_answers_that_it_describes(api: Client) -> None:
    failures = api.app.state.gate.failures if hasattr(api.app.state, "gate") else 0
    found = sent_to(api.app, CASES, seed=7)
    assert found.broken == []
    assert found.sent >= CASES * 0.8  # an operation without parameters has one case
    assert api.app.state.gate.failures == failures
