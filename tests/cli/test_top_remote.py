"""`dnaml top` against a real service: its pool, jobs with their expected ends, and one that is not there."""

import json

import pytest

import dnaml
from dnaml.cli.main import main
from tests.remote.served import served
from tests.rest import work


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service on which one job ended."""
    with served(tmp_path_factory.mktemp("service")) as found:
        with dnaml.connect(found.url) as executor:
            assert executor.submit(work.double, 4).result() == 8
        yield found


def test_a_look_at_a_service_has_its_pool_and_ones_own_jobs(service, capsys):
    assert main(["top", "--json", "--url", service.url]) == 0
    now = json.loads(capsys.readouterr().out)
    assert now["source"] == service.url
    assert len(now["resources"]) >= 1
    assert now["states"] == {"SUCCEEDED": 1}
    assert (now["unfinished"], now["all_jobs"]) == (0, 1)


def test_it_is_printed_for_people_once(service, capsys):
    assert main(["top", "--once", "--url", service.url]) == 0
    assert "1 succeeded" in capsys.readouterr().out


def test_a_service_that_does_not_answer_is_not_reachable(capsys):
    assert main(["top", "--once", "--timeout", "0.5", "--url", "http://127.0.0.1:9"]) == 3
    assert "127.0.0.1:9" in capsys.readouterr().err
