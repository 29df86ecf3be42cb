"""Retention: what old jobs left is let go of, whatever a crash interrupts, and nothing else ever is."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import dnaml
from dnaml.cli.main import main
from dnaml.core.attempt import Stored
from dnaml.core.errors import CorruptError, InputError, NotFoundError, StateFolderError, StateInUseError
from dnaml.datasets.backup import backup, verify_results
from dnaml.datasets.blobs import FREED, BlobLog
from dnaml.datasets.freed import free, freed_before_s, full_segments, note_freed
from dnaml.datasets.migrations import open_journal
from dnaml.datasets.state import StateFolder
from dnaml.durable.settings import StorageSettings
from dnaml.engine import EngineSettings
from dnaml.execution.crashpoints import CrashPoint
from dnaml.history import History
from dnaml.retention import compact
from tests import work

POOL = [dnaml.Resource(id="r0"), dnaml.Resource(id="r1")]
SMALL = EngineSettings(storage=StorageSettings(segment_bytes=400))
LOGS = ("payloads", "decisions", "outcomes")
POINTS = (CrashPoint.RETENTION_NOTED, CrashPoint.SEGMENT_WRITTEN, CrashPoint.SEGMENT_REPLACED)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state of six jobs that ended, in segments of about a frame each."""
    with dnaml.Executor(POOL, state=tmp_path / "state", settings=SMALL) as executor:
        assert [executor.submit(work.double, number).result() for number in range(6)] == [0, 2, 4, 6, 8, 10]
    return tmp_path / "state"


def segments(folder: Path, name: str) -> list[int]:
    return BlobLog(folder / "blobs", name).segments()


def left(folder: Path, name: str) -> list[Stored]:
    log = BlobLog(folder / "blobs", name)
    try:
        return [stored for stored, _ in log.frames()]
    finally:
        log.close()


def verified(folder: Path) -> int:
    state = StateFolder(folder)
    journal = open_journal(state, read_only=True)
    try:
        return sum(1 for _ in verify_results(journal.replay(), state.blobs))
    finally:
        journal.abandon()


def readable(folder: Path) -> list[bool]:
    """Say of each job, oldest first, whether its result is still there; a damaged one raises."""
    history = History.read(folder)
    found = []
    for view in sorted(history.jobs.values(), key=lambda view: view.job.submitted_at_s):
        try:
            found.append(history.outcome(view) is not None)
        except NotFoundError:
            found.append(False)
    return found


def test_what_ended_before_the_time_to_keep_is_let_go_of_and_the_newest_file_stays(folder: Path) -> None:
    done = compact(folder, keep_s=0)
    assert done.jobs == 6
    assert done.frames >= 12
    assert done.freed_bytes > 0
    assert all(stored.segment == max(segments(folder, name)) for name in LOGS for stored in left(folder, name))
    assert readable(folder)[0] is False
    assert readable(folder)[-1] is True
    assert verified(folder) > 0
    assert compact(folder, keep_s=0).frames == 0


def test_what_ended_lately_is_kept(folder: Path) -> None:
    assert compact(folder, keep_s=3600).frames == 0
    assert readable(folder) == [True] * 6
    half_s = sorted(view.ended_at_s or 0.0 for view in History.read(folder).jobs.values())
    done = compact(folder, keep_s=half_s[-1] - half_s[2])
    assert done.jobs == 3
    assert readable(folder) == [False] * 3 + [True] * 3


def test_a_folder_goes_on_beside_and_after_a_compaction(folder: Path) -> None:
    with dnaml.Executor(POOL, state=folder, settings=SMALL) as executor:
        before = executor.submit(work.double, 20)
        assert before.result() == 40
        compact(folder, keep_s=0)
        assert executor.submit(work.double, 21).result() == 42
    (folder / "replay.index").unlink()
    with dnaml.Executor(POOL, state=folder, settings=SMALL) as executor:
        assert executor.submit(work.double, 22).result() == 44
    assert len(History.read(folder).jobs) == 9
    assert verified(folder) > 0


def test_what_no_ended_job_left_is_never_touched(folder: Path) -> None:
    log = BlobLog(folder / "blobs", "outcomes", segment_bytes=400)
    places = [log.append(os.urandom(500)) for _ in range(3)]
    kept = [log.read(place) for place in places]
    compact(folder, keep_s=0)
    log.close()
    again = BlobLog(folder / "blobs", "outcomes")
    assert [again.read(place) for place in places] == kept
    again.close()


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.value)
def test_a_kill_at_any_step_leaves_what_the_next_run_completes(folder: Path, point: CrashPoint) -> None:
    ends = sorted(view.ended_at_s or 0.0 for view in History.read(folder).jobs.values())
    keep_s = ends[-1] - ends[2]
    call = f"compact(Path({str(folder)!r}), keep_s={keep_s!r})"
    program = f"from dnaml.retention import compact; from pathlib import Path; {call}"
    armed = {**os.environ, "DNAML_TEST": "1", "DNAML_CRASH_AT": f"{point.value}:{1 if point is POINTS[0] else 4}"}
    assert subprocess.run([sys.executable, "-c", program], env=armed, check=False).returncode == -signal.SIGKILL
    assert readable(folder)[3:] == [True] * 3
    assert verified(folder) > 0
    compact(folder, keep_s=keep_s)
    assert readable(folder) == [False] * 3 + [True] * 3
    assert not list((folder / "blobs").glob(".*.new"))


@pytest.mark.parametrize("seed", range(30))
def test_what_is_not_freed_reads_as_before_and_whoever_reads_goes_on(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    log = BlobLog(tmp_path, "outcomes", segment_bytes=20_000)
    bodies = [draw.choice((bytes, draw.randbytes))(draw.choice((0, 10, 5000, 9000))) for _ in range(30)]
    places = [log.append(body) for body in bodies]
    reader = BlobLog(tmp_path, "outcomes")
    assert [reader.read(place) for place in places] == bodies
    note_freed(tmp_path, 1.0)
    full = full_segments(log)
    gone = [place for place in places if place.segment in full and draw.random() < draw.choice((0.5, 1.0))]
    for segment in full:
        free(log, segment, [place for place in gone if place.segment == segment], written=lambda: None)
    assert [reader.read(place) for place in places] == bodies
    fresh = BlobLog(tmp_path, "outcomes")
    for place, body in zip(places, bodies, strict=True):
        if place in gone:
            with pytest.raises(NotFoundError, match="let go of"):
                fresh.read(place)
        else:
            assert fresh.read(place) == body
    assert [body for _, body in fresh.frames()] == [b for p, b in zip(places, bodies, strict=True) if p not in gone]
    for one in (log, reader, fresh):
        one.close()


def test_a_result_that_is_missing_without_leave_is_damage(folder: Path) -> None:
    compact(folder, keep_s=3600)
    segment = folder / "blobs" / "outcomes-000001.blobs"
    segment.write_bytes(bytes(segment.stat().st_size))
    with pytest.raises(CorruptError, match="younger"):
        verified(folder)


def test_a_backup_of_a_compacted_state_is_whole(folder: Path, tmp_path: Path) -> None:
    compact(folder, keep_s=0)
    assert backup(StateFolder(folder), tmp_path / "copy").events > 0
    assert freed_before_s(tmp_path / "copy" / "blobs") == freed_before_s(folder / "blobs")


def test_the_moment_that_was_noted_never_moves_back_and_a_damaged_note_is_said(tmp_path: Path) -> None:
    note_freed(tmp_path, 5.0)
    note_freed(tmp_path, 3.0)
    assert freed_before_s(tmp_path) == 5.0
    (tmp_path / FREED).write_text("{")
    with pytest.raises(CorruptError, match=FREED):
        note_freed(tmp_path, 6.0)


def test_a_disk_that_refuses_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note_freed(tmp_path, 5.0)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(StateFolderError, match="No space left"):
        note_freed(tmp_path, 6.0)
    assert freed_before_s(tmp_path) == 5.0
    assert [path.name for path in tmp_path.iterdir()] == [FREED]


def test_wrong_calls_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="keep_s"):
        compact(folder, keep_s=-1)
    with pytest.raises(StateFolderError, match="no state"):
        compact(tmp_path / "nowhere", keep_s=1)
    from dnaml.retention import _alone

    with _alone(StateFolder(folder)), pytest.raises(StateInUseError, match="compacted"):
        compact(folder, keep_s=1)


def test_the_verb_says_what_it_freed_and_a_decision_that_is_gone_is_told(folder: Path, capsys) -> None:
    assert main(["journal", "compact", "--keep-days", "0", "--state", str(folder), "--json"]) == 0
    assert '"jobs": 6' in capsys.readouterr().out
    first = min(History.read(folder).jobs.values(), key=lambda view: view.job.submitted_at_s)
    with pytest.raises(NotFoundError, match="let go of"):
        History.read(folder).decision(first.id)
