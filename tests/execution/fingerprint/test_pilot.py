"""A pilot runs in its own process and folder, ends in time, and leaves nothing behind, whatever it does."""

import glob
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dnaml.core.errors import UnpicklableError
from dnaml.execution import orphans
from dnaml.execution.fingerprint.pilot import Outcome, Pilot
from dnaml.execution.fingerprint.reports import Order, Report, State, Task
from tests.execution.fingerprint import pilots

CALL = Order(task=Task.CALL)


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make temporary folders below one of our own and look into it at the end."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert glob.glob(str(tmp_path / "dnaml-pilot-*")) == []


def piloted(fn: Callable[..., Any], *args: Any, budget_s: float = 20.0, **options: Any) -> tuple[Pilot, Report | None]:
    with Pilot(fn, args, {}, **options) as pilot:
        assert pilot.ready(), pilot.message
        report = pilot.run(CALL, until_s=time.monotonic() + budget_s)
    with pytest.raises(ProcessLookupError):
        os.kill(pilot.pid, 0)
    return pilot, report


def test_a_function_that_returns_is_measured() -> None:
    pilot, report = piloted(pilots.doubles, 1_000_000)
    assert (pilot.outcome, pilot.message) == (Outcome.RETURNED, "")
    assert report is not None
    assert report.state is State.RETURNED
    assert 0.01 < report.cpu_s <= report.wall_s * 1.2
    assert report.own_s <= report.wall_s
    assert report.peak_memory_bytes > 5e6
    assert pilot.tree["processes"] >= 1


def test_the_same_process_runs_again_with_fresh_arguments() -> None:
    items: list[int] = []
    with Pilot(list.append, (items, 1), {}) as pilot:
        assert pilot.ready()
        for _ in range(2):
            report = pilot.run(CALL, until_s=time.monotonic() + 20)
            assert report is not None
            assert report.state is State.RETURNED


@pytest.mark.parametrize(
    ("fn", "outcome", "message"),
    [
        (pilots.raises, Outcome.RAISED, "ValueError: no good"),
        (pilots.exits, Outcome.EXITED, "it exited with code 3"),
        (pilots.exits_hard, Outcome.EXITED, "its process exited with code 4"),
        (pilots.crashes, Outcome.KILLED, "its process was killed by SIGSEGV"),
    ],
)
def test_a_function_that_fails_is_reported_as_what_it_is(
    fn: Callable[[], None], outcome: Outcome, message: str
) -> None:
    pilot, _ = piloted(fn)
    assert (pilot.outcome, pilot.message) == (outcome, message)


def test_a_function_that_hangs_is_killed_when_the_budget_is_spent() -> None:
    started_s = time.monotonic()
    pilot, report = piloted(pilots.hangs, budget_s=0.5)
    assert pilot.outcome is Outcome.CUT_OFF
    assert report is not None
    assert report.state is State.RUNNING
    assert 0.4 < report.wall_s < 5
    assert report.cpu_s > 0.05
    assert time.monotonic() - started_s < 20


def test_children_that_outlive_their_run_are_killed(tmp_path: Path) -> None:
    note = tmp_path / "children"
    pilot, _ = piloted(pilots.leaves_a_child, str(note))
    assert pilot.outcome is Outcome.RETURNED
    assert pilot.killed_processes == 1
    assert orphans.find(int(note.read_text())) is None


def test_a_pilot_has_its_own_session_working_folder_and_temporary_folder(tmp_path: Path) -> None:
    note = tmp_path / "note"
    piloted(pilots.notes_its_folders, str(note))
    folder, temporary, entries, session, pid = note.read_text().splitlines()
    assert Path(folder).parts[-2] == "work"
    assert Path(temporary).name == "tmp"
    assert Path(folder).parents[1] == Path(temporary).parent
    assert not Path(folder).exists()
    assert (entries, session) == ("1", pid)


def test_a_function_that_takes_too_much_memory_is_stopped() -> None:
    pilot, _ = piloted(pilots.takes, 1 << 30, memory_bytes=200 << 20)
    assert pilot.outcome in (Outcome.KILLED, Outcome.RAISED)
    assert "bytes of memory" in pilot.message or pilot.message == "MemoryError"


def test_a_function_that_cannot_be_loaded_is_reported() -> None:
    with Pilot(pilots.CannotLoad(), (), {}) as pilot:
        assert not pilot.ready()
        assert pilot.outcome is Outcome.NOT_STARTED
        assert pilot.message == "it could not be loaded: RuntimeError: on arrival"


def test_a_call_that_cannot_travel_is_refused_before_anything_starts() -> None:
    with pytest.raises(UnpicklableError, match="argument 0"):
        Pilot(pilots.doubles, ((i for i in ()),), {})


def test_a_dead_pilot_runs_nothing_more() -> None:
    with Pilot(pilots.exits_hard, (), {}) as pilot:
        assert pilot.ready()
        pilot.run(CALL, until_s=time.monotonic() + 20)
        assert pilot.run(CALL, until_s=time.monotonic() + 20) is None
        assert pilot.outcome is Outcome.EXITED


def test_a_checkpoint_tells_its_size() -> None:
    _, report = piloted(pilots.saves, 3)
    assert report is not None
    assert report.checkpoint_bytes is not None
    assert report.checkpoint_bytes > 10_000


def test_numerical_libraries_get_as_many_threads_as_ordered() -> None:
    def threads() -> None:
        import numpy  # noqa: F401
        from threadpoolctl import threadpool_info

        told = {pool["num_threads"] for pool in threadpool_info()}
        raise ValueError(str(told))

    with Pilot(threads, (), {}) as pilot:
        assert pilot.ready()
        messages = []
        for count in (1, 2):
            pilot.run(Order(task=Task.CALL, threads=count), until_s=time.monotonic() + 20)
            messages.append(pilot.message)
    assert messages == ["ValueError: {1}", "ValueError: {2}"]
