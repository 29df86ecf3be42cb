"""The state folder: one engine at a time, and a clear word when it cannot be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dnaml.core.errors import StateFolderError, StateInUseError
from dnaml.datasets.state import StateFolder, default_folder

HOLD = (
    "import sys; from pathlib import Path; from dnaml.datasets.state import StateFolder;"
    "StateFolder(Path(sys.argv[1])).lock(); print('locked', flush=True); sys.stdin.read()"
)


@pytest.fixture
def holder(tmp_path: Path):
    """Start a second process that holds the lock, until its standard input ends."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        yield process
        process.kill()


def test_the_folder_comes_from_the_environment_or_lies_in_the_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DNAML_STATE", "~/elsewhere")
    assert default_folder() == tmp_path / "elsewhere"
    monkeypatch.delenv("DNAML_STATE")
    assert default_folder() == tmp_path / ".local" / "state" / "dnaml"


def test_its_folders_are_made_for_the_owner_alone_and_nothing_else_stays(tmp_path):
    state = StateFolder(tmp_path / "deep" / "state")
    state.prepare()
    state.prepare()
    made = {path.name: path.stat().st_mode & 0o777 for path in state.root.iterdir()}
    assert {"blobs", "checkpoints", "logs", "inbox", "prices"} <= set(made)
    assert set(made.values()) == {0o700}
    for folder in (state.blobs, state.checkpoints, state.logs, state.inbox, state.prices):
        assert folder.is_dir()


def test_a_relative_folder_does_not_follow_a_later_change_of_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = StateFolder(Path("state"))
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    state.prepare()
    assert state.journal.parent == tmp_path / "state"


def test_a_second_engine_is_refused_by_the_process_id_of_the_first(tmp_path, holder):
    with pytest.raises(StateInUseError, match=rf"{tmp_path} is in use by an engine in process {holder.pid};"):
        StateFolder(tmp_path).lock()


def test_the_lock_of_a_killed_engine_is_free(tmp_path, holder):
    holder.kill()
    holder.wait()
    state = StateFolder(tmp_path)
    state.lock()
    assert (tmp_path / "engine.lock").read_text() == str(os.getpid())
    state.unlock()


def test_one_process_holds_the_lock_once_and_gives_it_back(tmp_path):
    first, second = StateFolder(tmp_path), StateFolder(tmp_path)
    first.lock()
    with pytest.raises(StateInUseError, match=f"in process {os.getpid()}"):
        second.lock()
    first.unlock()
    first.unlock()
    second.lock()
    second.unlock()
    assert (tmp_path / "engine.lock").read_text() == ""


def test_a_lock_that_nobody_signed_is_refused_all_the_same(tmp_path, holder):
    (tmp_path / "engine.lock").write_text("")
    with pytest.raises(StateInUseError, match="in process unknown"):
        StateFolder(tmp_path).lock()


def test_a_folder_below_a_file_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StateFolderError, match=r"state folder .*file/state cannot be written: Not a directory"):
        StateFolder(tmp_path / "file" / "state").prepare()
    with pytest.raises(StateFolderError, match=r"state folder .*file/state cannot be written: Not a directory"):
        StateFolder(tmp_path / "file" / "state").check()


def test_a_folder_that_is_not_there_yet_is_checked_without_being_made(tmp_path):
    StateFolder(tmp_path / "one" / "two").check()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"), [("size=16k,ro", "Read-only file system"), ("size=4k", "No space left on device")]
)
def test_a_full_or_read_only_disk_is_named_with_its_folder(tmp_path, options, said):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
    made = subprocess.run(command, capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.decode().strip()}")
    try:
        if "ro" not in options:
            (disk / "full").write_bytes(b"x" * 4096)
        with pytest.raises(StateFolderError, match=f"state folder {disk} cannot be written: {said}"):
            StateFolder(disk).lock()
        assert list(disk.glob(".write-*")) == []
        with pytest.raises(StateFolderError, match=f"state folder {disk}/new cannot be written: {said}"):
            StateFolder(disk / "new").check()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
