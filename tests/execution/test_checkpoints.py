"""Checkpoints survive crashes at every step, full and failing disks, flipped bits and late writers."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnaml.core.errors import (
    ComputationStopped,
    CorruptError,
    InputError,
    NotFoundError,
    StateFolderError,
    UnpicklableError,
)
from dnaml.execution.checkpoints import GENERATIONS, CheckpointStore, Owner
from dnaml.execution.crashpoints import CrashPoint

CHECKPOINT_POINTS = [point for point in CrashPoint if point.name.startswith("CHECKPOINT")]


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "checkpoints")


def owner(job_id: str = "job", epoch: int = 1, computation_id: str = "fit") -> Owner:
    return Owner(job_id=job_id, computation_id=computation_id, attempt_id=f"a{epoch}", epoch=epoch)


def step_of(store: CheckpointStore, job_id: str = "job") -> Any:
    """Return the state of the newest checkpoint, read as a worker does."""
    newest = store.newest(job_id)
    return None if newest is None else store.load(newest.id)[1]["step"]


def test_a_saved_state_is_the_newest_and_loads_with_its_progress(store: CheckpointStore) -> None:
    assert store.newest("job") is None
    sealed = store.save(owner(), 0.25, {"step": 5, "x": np.arange(4)})
    assert store.newest("job") == sealed.checkpoint
    assert (sealed.checkpoint.attempt_id, sealed.checkpoint.progress) == ("a1", 0.25)
    assert sealed.checkpoint.size_bytes == (store.folder / sealed.checkpoint.id).stat().st_size
    assert sealed.write_s > 0
    assert not sealed.pickled
    progress, state = store.load(sealed.checkpoint.id, job_id="job", computation_id="fit")
    assert progress == 0.25
    np.testing.assert_array_equal(state["x"], np.arange(4))


def test_two_generations_are_kept_and_nothing_else(store: CheckpointStore) -> None:
    for step in range(5):
        store.save(owner(), step / 5, {"step": step})
    assert len(store.generations("job")) == GENERATIONS == 2
    assert len(os.listdir(store.folder / "job")) == 2
    assert step_of(store) == 4


def test_a_later_epoch_is_newer_whatever_its_progress(store: CheckpointStore) -> None:
    store.save(owner(epoch=1), 0.9, {"step": 9})
    store.save(owner(epoch=2), 0.5, {"step": 5})
    assert step_of(store) == 5


def test_what_must_be_pickled_is_flagged(store: CheckpointStore) -> None:
    assert store.save(owner(), 0.0, {"step": {1}.union}).pickled


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "unreadable"])
def test_a_damaged_checkpoint_is_passed_over_for_the_older_one(store: CheckpointStore, damage: str) -> None:
    store.save(owner(), 0.1, {"step": 1})
    newer = store.folder / store.save(owner(), 0.2, {"step": 2}).checkpoint.id
    whole = bytearray(newer.read_bytes())
    if damage == "flip":
        whole[100] ^= 1
    newer.write_bytes({"flip": whole, "cut": whole[:-1]}.get(damage, b""))
    if damage == "unreadable":
        newer.unlink()
        newer.mkdir()
    assert step_of(store) == 1
    for read in (store.verify, store.load):
        with pytest.raises(CorruptError, match="checkpoint"):
            read(f"job/{newer.name}")


def test_a_checkpoint_of_another_job_or_computation_is_refused(store: CheckpointStore) -> None:
    sealed = store.save(owner(), 0.1, {"step": 1})
    with pytest.raises(CorruptError, match="computation must be train, got fit"):
        store.load(sealed.checkpoint.id, computation_id="train")
    with pytest.raises(CorruptError, match="job must be other, got job"):
        store.load(sealed.checkpoint.id, job_id="other")


@pytest.mark.parametrize("place", ["other/00000001-00000001.checkpoint", "job/00000002-00000001.checkpoint"])
def test_a_checkpoint_under_another_name_is_refused(store: CheckpointStore, place: str) -> None:
    sealed = store.save(owner(), 0.1, {"step": 1})
    moved = store.folder / place
    moved.parent.mkdir(exist_ok=True)
    (store.folder / sealed.checkpoint.id).rename(moved)
    for read in (store.verify, store.load):
        with pytest.raises(CorruptError, match="must lie where it was sealed"):
            read(place)
    assert store.newest(place.partition("/")[0]) is None


@pytest.mark.parametrize("checkpoint_id", ["", "job", "job/x", "../job/00000001-00000001.checkpoint", "../x", "./a/b"])
def test_an_id_that_is_none_is_not_found(store: CheckpointStore, checkpoint_id: str) -> None:
    with pytest.raises(NotFoundError, match="checkpoint id must be"):
        store.verify(checkpoint_id)


def test_a_missing_checkpoint_is_not_found(store: CheckpointStore) -> None:
    for read in (store.verify, store.load):
        with pytest.raises(NotFoundError, match="must be in the store"):
            read("job/00000001-00000001.checkpoint")


@pytest.mark.parametrize("job_id", ["..", ".", "a/b", "/etc", "a b%2F", "é"])
def test_any_job_id_stays_inside_the_folder(store: CheckpointStore, job_id: str) -> None:
    sealed = store.save(owner(job_id=job_id), 0.5, {"step": 1})
    assert store.newest(job_id) == sealed.checkpoint
    assert (store.folder / sealed.checkpoint.id).resolve().parent.parent == store.folder.resolve()
    store.discard(job_id)
    assert os.listdir(store.folder) == []


def test_an_empty_job_id_is_refused(store: CheckpointStore) -> None:
    with pytest.raises(InputError, match="job_id"):
        store.newest("")


def test_discard_removes_everything_of_a_job_and_only_that(store: CheckpointStore) -> None:
    store.save(owner(), 0.1, {"step": 1})
    store.save(owner(job_id="other"), 0.1, {"step": 2})
    store.fence("job", 3)
    store.discard("job")
    store.discard("never there")
    assert os.listdir(store.folder) == ["other"]


def test_an_attempt_of_a_past_epoch_is_refused_and_told_who_holds_the_job(store: CheckpointStore) -> None:
    store.save(owner(epoch=1), 0.1, {"step": 1})
    store.fence("job", 2)
    with pytest.raises(ComputationStopped, match=r"attempt a1: epoch must be at least 2, .*job job now, got 1"):
        store.save(owner(epoch=1), 0.2, {"step": 2})
    store.save(owner(epoch=2), 0.2, {"step": 3})
    with pytest.raises(ComputationStopped):
        store.save(owner(epoch=1), 0.3, {"step": 4})
    assert step_of(store) == 3


def test_a_state_that_cannot_be_pickled_leaves_no_file(store: CheckpointStore) -> None:
    with pytest.raises(UnpicklableError):
        store.save(owner(), 0.1, {"step": (i for i in ())})
    assert not store.folder.exists()


def test_a_class_that_cannot_be_restored_says_which_checkpoint_it_was_in(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fragile:
        def __reduce__(self) -> Any:
            return int, ("no number",)

    sealed = store.save(owner(), 0.1, Fragile())
    with pytest.raises(ValueError, match="no number") as raised:
        store.load(sealed.checkpoint.id)
    assert sealed.checkpoint.id in raised.value.__notes__[0]


def test_what_a_dead_writer_left_is_tidied_away_and_a_live_ones_is_not(store: CheckpointStore) -> None:
    store.save(owner(epoch=2), 0.1, {"step": 1})
    dead = subprocess.Popen(["true"])
    dead.wait()
    home = store.folder / "job"
    names = {
        "dead": f".writing-00000002-00000009-{dead.pid}",
        "past epoch": f".writing-00000001-00000009-{os.getppid()}",
        "live": f".writing-00000002-00000009-{os.getppid()}",
    }
    for name in names.values():
        (home / name).touch()
    store.save(owner(epoch=2), 0.2, {"step": 2})
    assert sorted(name for name in os.listdir(home) if name.startswith(".")) == [names["live"]]
    assert store.newest("job") is not None


# Each of these runs in a process of its own that saves steps 1, 2, 3, ... and says which were sealed.
SAVES = """
import sys
from pathlib import Path
import numpy as np
from dnaml.core.errors import StateFolderError
from dnaml.execution.checkpoints import CheckpointStore, Owner
store = CheckpointStore(Path(sys.argv[1]))
owner = Owner(job_id="job", computation_id="fit", attempt_id="a1", epoch=1)
for step in range(1, 5):
    try:
        store.save(owner, step / 5, {"step": step, "x": np.arange(int(sys.argv[2]) * step)})
        print(f"sealed {step}", flush=True)
    except StateFolderError as error:
        print(f"error {step} {error}", flush=True)
"""


def saves(folder: Path, size: int = 10, before: tuple[str, ...] = (), **environment: str) -> tuple[int, list[str]]:
    """Return exit code and what the process said; `before` runs it under another command."""
    ended = subprocess.run(
        [*before, sys.executable, "-c", SAVES, str(folder), str(size)],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout.splitlines()


def last_sealed(lines: list[str]) -> int:
    return max((int(line.split()[1]) for line in lines if line.startswith("sealed")), default=0)


@pytest.mark.parametrize("point", CHECKPOINT_POINTS, ids=lambda point: point.value)
def test_a_crash_at_any_step_of_sealing_loses_nothing_that_was_sealed(
    store: CheckpointStore, point: CrashPoint
) -> None:
    code, lines = saves(store.folder, DNAML_TEST="1", DNAML_CRASH_AT=f"{point.value}:3")
    assert code == -signal.SIGKILL
    assert last_sealed(lines) == 2
    assert step_of(store) in (2, 3)
    assert (step_of(store) == 3) == (point.name in ("CHECKPOINT_RENAMED", "CHECKPOINT_SEALED", "CHECKPOINT_PRUNED"))
    store.save(owner(epoch=2), 0.5, {"step": "next"})
    assert step_of(store) == "next"
    assert len(os.listdir(store.folder / "job")) == 2


def can_strace() -> bool:
    try:
        return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


straced = pytest.mark.skipif(not can_strace(), reason="strace is missing or not allowed to trace")


def strace(path: Path, what: str) -> tuple[str, ...]:
    return ("strace", "-f", "-qq", "-o", str(path / "trace"), "-e", "trace=write,fsync,rename", "-e", f"inject={what}")


@straced
@pytest.mark.parametrize("when", [1, 4])  # the first sync is the folder's; the fourth a file's
def test_a_sync_that_fails_is_an_error_and_what_was_sealed_stays(
    store: CheckpointStore, tmp_path: Path, when: int
) -> None:
    code, lines = saves(store.folder, before=strace(tmp_path, f"fsync:error=EIO:when={when}"))
    assert code == 0
    failed = [line for line in lines if line.startswith("error")]
    assert len(failed) == 1
    assert os.strerror(errno.EIO) in failed[0]
    assert last_sealed(lines) == 4
    assert step_of(store) == 4
    assert not [name for name in os.listdir(store.folder / "job") if name.startswith(".")]


@straced
def test_a_kill_at_a_write_loses_nothing_that_was_sealed(store: CheckpointStore, tmp_path: Path) -> None:
    for when in range(2, 26, 3):
        folder = tmp_path / str(when)
        _, lines = saves(folder, 1000, before=strace(tmp_path, f"write:signal=SIGKILL:when={when}"))
        sealed = last_sealed(lines)
        newest = step_of(CheckpointStore(folder))
        assert (newest or 0) in (sealed, sealed + 1)


def may_mount() -> bool:
    try:
        trial = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/tmp"]
        return subprocess.run(trial, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not may_mount(), reason="may not mount a file system of 1 MiB")
def test_a_full_disk_keeps_the_generation_before_and_says_so(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    look = (
        "from pathlib import Path; from dnaml.execution.checkpoints import CheckpointStore; import sys, os;"
        "s = CheckpointStore(Path(sys.argv[1])); print(s.load(s.newest('job').id)[1]['step'], os.listdir(s.folder))"
    )
    script = (
        'mount -t tmpfs -o size=1m none "$1" && "$2" -c "$3" "$1/c" 25000; '
        '"$2" -c "$4" "$1/c"; ls -a "$1/c/job"'
    )  # steps of 200, 400, 600, ... kB: two fit, the third does not
    ended = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", str(mount), sys.executable, SAVES, look],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    lines = ended.stdout.splitlines()
    assert lines[:2] == ["sealed 1", "sealed 2"]
    assert all("No space left on device" in line and "a checkpoint of job must fit" in line for line in lines[2:4])
    assert lines[4] == "2 ['job']"
    assert len([line for line in lines[5:] if line.endswith(".checkpoint")]) == 2
    assert not [line for line in lines[5:] if line.startswith(".writing")]


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = CheckpointStore(tmp_path / "file")
    with pytest.raises(StateFolderError, match=r"checkpoint folder .*file.*must fit and be writable"):
        store.save(owner(), 0.1, {"step": 1})
    with pytest.raises(StateFolderError, match=r"checkpoint folder .*file"):
        store.fence("job", 1)


def test_the_engines_side_imports_neither_numpy_nor_a_pickle() -> None:
    code = (
        "import sys; from pathlib import Path; from dnaml.execution.checkpoints import CheckpointStore\n"
        "assert CheckpointStore(Path('/nowhere')).newest('job') is None\n"
        "assert not {'numpy', 'torch', 'cloudpickle', 'safetensors'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
