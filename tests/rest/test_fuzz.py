"""Mutated requests in this process: each answer is documented, none is a 5xx, none reached the last handler."""

from typing import Any

import pytest

from benchmarks.api.fuzzing import Fuzz
from tests.rest.conftest import Client

SENT = 20_000


@pytest.fixture
def fuzzed(api: Client) -> Any:
    fuzz = Fuzz(api.app, seed=7)
    for _ in range(20):  # a call waits a minute at most
        api.call(lambda _: fuzz.run(SENT // 20))
    return fuzz


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_twenty_thousand_mutated_requests_get_documented_answers(api: Client, fuzzed: Any) -> None:
    assert fuzzed.sent == SENT
    assert fuzzed.undocumented == []
    assert fuzzed.failures == 0
    assert {status for status in fuzzed.statuses if status >= 500} == set()
    assert fuzzed.statuses[200] > 0
    assert len(fuzzed.statuses) >= 5
    assert api.get("/jobs").status_code == 200


def test_the_same_seed_makes_the_same_requests(api: Client) -> None:
    first, second = (Fuzz(api.app, seed=3) for _ in range(2))
    assert [first.request() for _ in range(50)] == [second.request() for _ in range(50)]
