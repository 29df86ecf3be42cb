"""The pilot's process serves orders on a socket; here in a thread of this process, to look at its parts."""

import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dnaml.execution import pickling
from dnaml.execution.fingerprint import child
from dnaml.execution.fingerprint.child import PilotProcess
from dnaml.execution.fingerprint.reports import Order, Report, State, Task, decode_report, encode
from tests.execution.fingerprint import pilots

Serve = Callable[..., list[Report]]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Serve orders for a function and return every report, snapshots left out."""
    monkeypatch.chdir(tmp_path)

    def served(fn: Any, *args: Any, orders: tuple[Order, ...] = (Order(task=Task.CALL),)) -> list[Report]:
        (tmp_path / "function").write_bytes(pickling.dumps(fn))
        (tmp_path / "arguments").write_bytes(pickling.dumps_arguments(args, {}))
        near, far = socket.socketpair()
        with near, far:
            for order in orders:
                near.sendall(encode(order))
            near.shutdown(socket.SHUT_WR)
            thread = threading.Thread(target=PilotProcess(far, tmp_path).serve)
            thread.start()
            thread.join()
            far.shutdown(socket.SHUT_WR)
            with near.makefile("rb") as lines:
                reports = [decode_report(line) for line in lines]
        return [report for report in reports if report.state is not State.RUNNING]

    return served


def test_a_run_is_reported_with_its_times_and_bytes(serve: Serve) -> None:
    ready, ended = serve(pilots.writes, 2)
    assert ready == Report(state=State.READY)
    assert ended.ended
    assert not ready.ended
    assert ended.written_bytes is not None
    assert ended.written_bytes >= 2_000_000
    assert 0 <= ended.own_s <= ended.wall_s


def test_every_run_has_an_empty_folder(serve: Serve, tmp_path: Path) -> None:
    reports = serve(pilots.writes, 1, orders=(Order(task=Task.CALL),) * 2)
    assert [report.state for report in reports] == [State.READY, State.RETURNED, State.RETURNED]
    assert [(tmp_path / "work" / name / "out").exists() for name in ("1", "2")] == [True, True]


@pytest.mark.parametrize(
    ("fn", "state", "message"),
    [
        (pilots.raises, State.RAISED, "ValueError: no good"),
        (pilots.exits, State.EXITED, "it exited with code 3"),
        (pilots.CannotLoad(), State.BROKEN, "RuntimeError: on arrival"),
    ],
)
def test_failures_are_told_apart(serve: Serve, fn: Any, state: State, message: str) -> None:
    last = serve(fn)[-1]
    assert (last.state, last.message) == (state, message)


def test_a_long_run_sends_snapshots_on_the_way(tmp_path: Path, serve: Serve) -> None:
    sent: list[Report] = []

    class Noting(PilotProcess):
        def _send(self, report: Report) -> None:
            sent.append(decode_report(encode(report)))

    near, far = socket.socketpair()
    with near, far:
        process = Noting(far, tmp_path)
        report = process._watched(pilots.sleeps, (0.7,), {})
    assert report.state is State.RETURNED
    assert {snapshot.state for snapshot in sent} == {State.RUNNING}
    assert sent[-1].wall_s > 0.1


def test_a_context_is_given_and_tells_the_size_of_a_checkpoint(serve: Serve) -> None:
    assert (serve(pilots.saves, 2)[-1].checkpoint_bytes or 0) > 10_000


@pytest.mark.parametrize("task", [Task.SEQUENTIAL, Task.RANDOM])
def test_the_yardsticks_work_the_memory(serve: Serve, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_YARDSTICK_ITEMS", 1 << 16)
    monkeypatch.setattr(child, "_YARDSTICK_S", 0.05)
    report = serve(int, orders=(Order(task=task, threads=2),))[-1]
    assert report.state is State.RETURNED
    assert report.cpu_s >= 0.04


def test_torch_is_watched_once_it_is_loaded(serve: Serve) -> None:
    pytest.importorskip("torch")
    report = serve(pilots.learns, 64, 3)[-1]
    assert report.watches_torch
    assert report.flop == {"low": 3 * 2 * 64**3}


def test_installed_packages_are_imported_before_the_first_run(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(child.importlib, "import_module", asked.append)
    serve(pilots.gathers, 10, 1)
    assert asked == ["numpy"]


def test_without_proc_memory_comes_from_the_systems_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    assert child._status_bytes("VmNothing") > 1e6
    assert "VmRSS" not in sys.modules
