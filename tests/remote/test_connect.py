"""The client against the real service: results, refusals, re-attachment, and a service that is killed in between."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import dnaml
from dnaml.core.errors import InputError
from dnaml.remote import NotReachable
from dnaml.remote.names import check_json, name_of
from tests.rest import work
from tests.rest.test_server import Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path, "--allow", "tests.rest.work", "--cores", "2")
    yield made
    made.process.kill()
    made.process.wait(20)


@pytest.mark.serial
@pytest.mark.timeout(120)
def test_a_client_gets_results_and_reasons_and_waits_through_a_killed_service(server: Server, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with dnaml.connect(server.url) as ex:
        first = ex.submit(work.double, 4)
        assert first.result(60) == 8
        table = first.decision.explain()
        assert table["chosen"].sum() == 1
        assert table.filter(like="score_").sum(axis=1).tolist() == pytest.approx(table["score"].tolist())
        assert "terms" not in table
        assert len(first.record["attempts"]) == 1
        assert ex.future(first.job_id).result(60) == 8
        with pytest.raises(ValueError, match="words of the caller"):
            ex.submit(work.fail, "words of the caller").result(60)
        waiting = ex.submit(work.wait_for, str(gate))
        server.kill()
        server.start()
        gate.touch()
        assert waiting.result(60) == "there"
        assert list(ex.map(work.double, range(3))) == [0, 2, 4]


def test_what_has_no_name_elsewhere_is_refused_with_the_reason() -> None:
    def local() -> None: ...

    with pytest.raises(InputError, match="lambda"):
        name_of(lambda: None)
    with pytest.raises(InputError, match="within a function"):
        name_of(local)
    assert name_of(work.double) == "tests.rest.work:double"


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [1, {2}]}, r"x\.a\[1\]"),
        ([float("nan")], r"x\[0\]"),
        ({1: 2}, "x: keys"),
        ((1,), "x: an object of type tuple"),
    ],
)
def test_what_json_would_lose_is_refused_with_its_path(value: object, path: str) -> None:
    with pytest.raises(InputError, match=path):
        check_json(value, "x")


def test_a_service_that_is_not_there_is_named() -> None:
    with (
        dnaml.connect("http://127.0.0.1:9", timeout_s=0.3) as ex,
        pytest.raises(NotReachable, match=r"http://127\.0\.0\.1:9"),
    ):
        ex.submit(work.double, 1)
