"""Futures learn of ends by the stream, by asking where there is none, and of ends that came before they were known."""

import time
from pathlib import Path

import pytest

import dnaml
from dnaml.core.resource import Resource
from dnaml.remote import NotReachable
from dnaml.remote.following import Follower
from dnaml.remote.future import RemoteFuture
from dnaml.remote.wire import Wire
from dnaml.rest.settings import Limits
from tests.remote.served import Served, served
from tests.rest import work


def test_many_futures_share_one_stream(service: Served) -> None:
    with dnaml.connect(service.url) as ex:
        futures = [ex.submit(work.double, n) for n in range(30)]
        gate = service.app.state.gate
        assert [future.result(60) for future in futures] == [2 * n for n in range(30)]
        assert list(ex.map(work.double, range(40))) == [2 * n for n in range(40)]
        assert gate.patient <= 1
    while gate.patient:  # the stream ends with the executor
        time.sleep(0.01)


def test_ends_are_heard_by_the_stream_and_not_by_asking(service: Served, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with dnaml.connect(service.url) as ex:
        future = ex.submit(work.wait_for, str(gate))
        while not future.running():
            time.sleep(0.01)
        asked: list[str] = []
        ask = ex._wire.ask
        ex._wire.ask = lambda method, path, **more: asked.append(path) or ask(method, path, **more)  # type: ignore[method-assign,assignment,func-returns-value]
        gate.touch()
        assert future.result(60) == "there"
        assert set(asked) == {f"/jobs/{future.job_id}"}
        assert len(asked) <= 3  # once when it ended, and at most when a stream began


def test_without_a_stream_futures_are_asked_about(tmp_path: Path) -> None:
    with (
        served(tmp_path, limits=Limits(streams=1)) as found,
        Wire(found.url, None, timeout_s=5)._http.stream("GET", "/events") as taken,
    ):
        assert taken.status_code == 200
        with dnaml.connect(found.url) as ex:
            assert list(ex.map(work.double, range(25))) == [2 * n for n in range(25)]
        assert found.app.state.gate.patient == 1


def test_an_end_before_the_future_was_known_is_not_missed(service: Served) -> None:
    wire = Wire(service.url, None, timeout_s=10)
    follower = Follower(wire)
    expected = follower.expect()
    told = wire.ask("POST", "/jobs", body={"computation": "tests.rest.work:double", "args": [4]})
    assert wire.ask("GET", f"/jobs/{told['id']}", params={"wait_s": 60}, wait_s=60)["state"] == "SUCCEEDED"
    expected -= 1  # as if a stream had begun meanwhile
    future: RemoteFuture[int] = RemoteFuture(told["id"], wire)
    follower.keep([future], expected)
    assert future.result(0) == 8
    follower.close()
    wire.close()


def test_closing_leaves_open_jobs_to_the_service(service: Served, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    ex = dnaml.connect(service.url)
    future = ex.submit(work.wait_for, str(gate))
    began_s = time.monotonic()
    ex.shutdown(wait=False)
    assert time.monotonic() - began_s < 10  # a reader in the middle of a silent stream is woken
    with pytest.raises(NotReachable, match=r"finds it again"):
        future.result(0)
    gate.touch()
    with dnaml.connect(service.url) as again:
        assert again.future(future.job_id).result(60) == "there"


def test_withdrawn_futures_do_not_hold_the_end_up(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with served(tmp_path, resources=(Resource(id="here", slots=1),), cores=1) as found:
        ex = dnaml.connect(found.url)
        blocked = ex.submit(work.wait_for, str(gate))
        assert blocked.decision.explain()["chosen"].all()
        waiting = [ex.submit(work.double, n) for n in range(3)]
        assert waiting[0].cancel()
        gate.touch()
        ex.shutdown(cancel_futures=True)
        assert blocked.result(0) == "there"
        assert waiting[0].cancelled()
        assert all(future.done() for future in waiting)
