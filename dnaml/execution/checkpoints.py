"""A folder of checkpoints: sealed files, two generations a job, newest first.

The engine's side handles ids and bytes (`newest`, `verify`, `fence`, `discard`) and never looks into a state; the
worker's side (`save`, `load`) does. A file gets its name only when it is whole and on the disk, so whatever has no
name yet never existed. The newest is the one with the highest epoch, then the highest sequence number.
"""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from dnaml.core.attempt import Checkpoint
from dnaml.core.errors import ComputationStopped, CorruptError, InputError, NotFoundError, StateFolderError
from dnaml.execution import sealed_file, state_codec, tensors
from dnaml.execution.crashpoints import CrashPoint, reach
from dnaml.execution.sealed_file import Manifest

GENERATIONS = 2
"""Is how many sealed checkpoints a job keeps: the older one is for the day on which the newer does not read."""

_NAME = re.compile(r"(\d{8})-(\d{8})\.checkpoint")
_FENCE = re.compile(r"(\d{8})\.fence")
_TEMPORARY = ".writing-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A checkpoint that is durable, what writing it took, and whether loading it will run a pickle."""

    checkpoint: Checkpoint
    write_s: float
    pickled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Says whose checkpoint is written. A replica or a part needs a `job_id` of its own: see `lineage_of`."""

    job_id: str
    computation_id: str
    attempt_id: str
    epoch: int


def lineage_of(job_id: str, replica: int, part: int) -> str:
    """Return under which name a replica or part saves: copies that run at once must not take each other for stale."""
    return f"{job_id}.{replica}.{part}" if replica or part else job_id


def lineage_in(checkpoint_id: str) -> str:
    """Return under which name a checkpoint was saved."""
    return unquote(checkpoint_id.partition("/")[0])


class CheckpointStore:
    """Keeps the checkpoints of all jobs below one folder, which is made at the first save."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    # -- the engine's side: ids and bytes ------------------------------------------------------------------------------

    def newest(self, job_id: str) -> Checkpoint | None:
        """Return the newest checkpoint of a job that is whole, read in full to be sure; None if there is none."""
        for checkpoint_id in self.generations(job_id):
            with contextlib.suppress(CorruptError, NotFoundError):
                return self.verify(checkpoint_id)
        return None

    def generations(self, job_id: str) -> list[str]:
        """Return the ids of a job's sealed checkpoints, newest first, unread."""
        home = self._home(job_id)
        names = sorted((name for name in _names(home) if _NAME.fullmatch(name)), reverse=True)
        return [f"{home.name}/{name}" for name in names]

    def verify(self, checkpoint_id: str) -> Checkpoint:
        """Return a checkpoint if every byte is as written; raise CorruptError or NotFoundError."""
        path = self._path(checkpoint_id)
        with _named(checkpoint_id):
            manifest, size_bytes = sealed_file.verify(path), path.stat().st_size
        _check_place(checkpoint_id, manifest)
        return _checkpoint(checkpoint_id, manifest, size_bytes)

    def fence(self, job_id: str, epoch: int) -> None:
        """Refuse from here on every checkpoint of a job from an epoch before this one; durable."""
        home = self._home(job_id)
        try:
            self._make(home)
            (home / f"{epoch:08d}.fence").touch()
            _sync_folder(home)
        except OSError as error:
            raise StateFolderError(f"checkpoint folder {home}: must be writable, got {error}") from error

    def discard(self, job_id: str) -> None:
        """Remove everything that belongs to a job; nothing happens if there is nothing."""
        home = self._home(job_id)
        for name in _names(home):
            (home / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            home.rmdir()

    # -- the worker's side: states -------------------------------------------------------------------------------------

    def save(self, owner: Owner, progress: float, state: Any) -> Sealed:
        """Write, sync and name a checkpoint, then drop generations that are too old.

        Raise StateFolderError (disk full or failing: what was sealed before stays), UnpicklableError (the state), or
        ComputationStopped (a later epoch holds the job). A file whose sync failed is never tried again.
        """
        started_s = time.perf_counter()
        packed = state_codec.pack(state)
        home = self._home(owner.job_id)
        try:
            self._make(home)
            sequence = self._next_sequence(home, owner)
            temporary = home / f"{_TEMPORARY}{owner.epoch:08d}-{sequence:08d}-{os.getpid()}"
            try:
                manifest, size_bytes = _written(temporary, owner, sequence, progress, packed)
                final = home / _file_name(owner.epoch, sequence)
                temporary.rename(final)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            reach(CrashPoint.CHECKPOINT_RENAMED)
            _sync_folder(home)
        except OSError as error:
            raise StateFolderError(
                f"checkpoint folder {home}: a checkpoint of {owner.job_id} must fit and be writable, got {error}"
            ) from error
        reach(CrashPoint.CHECKPOINT_SEALED)
        self._prune(home)
        reach(CrashPoint.CHECKPOINT_PRUNED)
        checkpoint = _checkpoint(f"{home.name}/{final.name}", manifest, size_bytes)
        return Sealed(checkpoint=checkpoint, write_s=time.perf_counter() - started_s, pickled=manifest.pickled)

    def load(
        self,
        checkpoint_id: str,
        *,
        job_id: str | None = None,
        computation_id: str | None = None,
        lineages: bool = False,
    ) -> tuple[float, Any]:
        """Return progress and state; raise CorruptError if a byte is wrong or it belongs to another computation.

        With `lineages` a replica or part of the job may have saved it. Runs the pickle in it, if there is one: only the
        worker that runs the user's code may call this.
        """
        with _named(checkpoint_id):
            manifest, data = sealed_file.read(self._path(checkpoint_id))
        _check_place(checkpoint_id, manifest)
        for what, wanted, got in (
            ("job", job_id, job_id if lineages and manifest.job_id.startswith(f"{job_id}.") else manifest.job_id),
            ("computation", computation_id, manifest.computation_id),
        ):
            if wanted is not None and wanted != got:
                raise CorruptError(f"checkpoint {checkpoint_id}: {what} must be {wanted}, got {got}")
        return manifest.progress, _state(checkpoint_id, manifest, data)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _home(self, job_id: str) -> Path:
        """Return the folder of a job."""
        return self.folder / _folder_name(job_id)

    def _path(self, checkpoint_id: str) -> Path:
        home, _, name = checkpoint_id.partition("/")
        if not _NAME.fullmatch(name) or not home.strip(".") or os.sep in name:
            raise NotFoundError(f"checkpoint id must be job/epoch-sequence.checkpoint, got {checkpoint_id!r}")
        return self.folder / home / name

    def _make(self, home: Path) -> None:
        """Make the folder of a job so that it survives a loss of power."""
        if not home.is_dir():
            home.mkdir(parents=True, exist_ok=True)
            _sync_folder(self.folder)

    def _next_sequence(self, home: Path, owner: Owner) -> int:
        """Return the number of the next checkpoint; tidy up after dead writers, refuse writers of a past epoch."""
        last = 0
        for name in _names(home):
            sealed, fence = _NAME.fullmatch(name), _FENCE.fullmatch(name)
            last = max(last, int(sealed[2]) if sealed else 0)
            holder = int(match[1]) if (match := sealed or fence) else 0
            if holder > owner.epoch:
                raise ComputationStopped(
                    f"attempt {owner.attempt_id}: epoch must be at least {holder}, which holds job {owner.job_id} now, "
                    f"got {owner.epoch}"
                )
            if name.startswith(_TEMPORARY) and _is_abandoned(name, owner.epoch):
                (home / name).unlink(missing_ok=True)
        return last + 1

    def _prune(self, home: Path) -> None:
        """Remove all but the newest generations; failing to is no reason to fail the checkpoint that is sealed."""
        names = sorted(name for name in _names(home) if _NAME.fullmatch(name))
        with contextlib.suppress(OSError):
            for name in names[:-GENERATIONS]:
                (home / name).unlink(missing_ok=True)


def _written(
    path: Path, owner: Owner, sequence: int, progress: float, packed: state_codec.Packed
) -> tuple[Manifest, int]:
    """Write a whole file under a temporary name and bring it to the disk; return its manifest and size in bytes."""
    with path.open("xb") as file:
        reach(CrashPoint.CHECKPOINT_BEGUN)
        writer = sealed_file.Writer(file)
        writer.section("arrays", _array_chunks(packed.arrays))
        writer.section("tree", (packed.tree,))
        writer.section("pickle", (packed.pickle,))
        manifest = Manifest(
            job_id=owner.job_id,
            computation_id=owner.computation_id,
            attempt_id=owner.attempt_id,
            epoch=owner.epoch,
            sequence=sequence,
            progress=progress,
            taken_at_s=time.time(),
            pickled=bool(packed.pickle),
            sections=writer.sections,
        )
        return manifest, writer.seal(manifest)


def _array_chunks(arrays: list[tensors.Stored]) -> Iterator[bytes | memoryview]:
    """Yield the safetensors section: its header, then one array after the other, none copied as a whole."""
    head, order = tensors.header(arrays)
    yield head
    for number in order:
        yield from tensors.chunks(arrays[number].view())


def _state(checkpoint_id: str, manifest: Manifest, data: memoryview) -> Any:
    """Put the state together; what the user's own classes raise on the way says which checkpoint it was."""
    arrays, tree, pickled = (
        data[start : start + length] for start, length in (manifest.sections[n] for n in ("arrays", "tree", "pickle"))
    )
    try:
        return state_codec.unpack(bytes(tree), bytes(pickled), tensors.readers(arrays))
    except BaseException as error:
        error.add_note(f"while checkpoint {checkpoint_id} was restored")
        raise


@contextlib.contextmanager
def _named(checkpoint_id: str) -> Iterator[None]:
    """Turn what the system says about a file into what it means for a checkpoint."""
    try:
        yield
    except FileNotFoundError:
        raise NotFoundError(f"checkpoint {checkpoint_id}: must be in the store, got no such file") from None
    except OSError as error:
        raise CorruptError(f"checkpoint {checkpoint_id}: must be readable, got {error}") from error


def _check_place(checkpoint_id: str, manifest: Manifest) -> None:
    """Refuse a file that lies under another name than it was sealed for."""
    own = f"{_folder_name(manifest.job_id)}/{_file_name(manifest.epoch, manifest.sequence)}"
    if own != checkpoint_id:
        raise CorruptError(f"checkpoint {checkpoint_id}: must lie where it was sealed, got the bytes of {own}")


def _checkpoint(checkpoint_id: str, manifest: Manifest, size_bytes: int) -> Checkpoint:
    return Checkpoint(
        id=checkpoint_id,
        attempt_id=manifest.attempt_id,
        taken_at_s=manifest.taken_at_s,
        progress=manifest.progress,
        size_bytes=size_bytes,
    )


def _is_abandoned(name: str, epoch: int) -> bool:
    """Say whether nobody writes a temporary file any more: its epoch is over, or its process is gone or is this one."""
    written_epoch, _, pid = name.removeprefix(_TEMPORARY).split("-")
    if int(written_epoch) < epoch or int(pid) == os.getpid():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _folder_name(job_id: str) -> str:
    """Return the one name below the store that stands for a job id, whatever letters it has."""
    if not job_id:
        raise InputError("job_id must not be empty, got ''")
    name = quote(job_id, safe="")
    return name if name.strip(".") else name.replace(".", "%2E")


def _file_name(epoch: int, sequence: int) -> str:
    return f"{epoch:08d}-{sequence:08d}.checkpoint"


def _names(home: Path) -> list[str]:
    try:
        return os.listdir(home)
    except FileNotFoundError:
        return []


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
