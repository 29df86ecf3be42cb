"""Carries sealed checkpoint files between nodes as bytes: cut into chunks here, put together and verified there.

Nothing here looks into a state. A file gets its name only when every byte of it is there and its checksums hold.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from dnaml.core.attempt import Checkpoint
from dnaml.core.errors import CorruptError, InputError, NotFoundError
from dnaml.execution.checkpoints import GENERATIONS, CheckpointStore, lineage_in
from dnaml.execution.on_ray.wire import CHUNK_BYTES, Chunk

_ID = re.compile(r"[^/\\]*[^/\\.][^/\\]*/\d{8}-\d{8}\.checkpoint")
_UNFINISHED = ".carried-"


def open_checkpoint(folder: Path, checkpoint_id: str) -> BinaryIO:
    """Open a checkpoint for reading: its bytes stay readable when its name is pruned; raises OSError."""
    return (folder / _checked(checkpoint_id)).open("rb")


def chunks(checkpoint_id: str, file: BinaryIO) -> Iterator[Chunk]:
    """Yield a file in pieces and close it."""
    with file:
        offset = 0
        while data := file.read(CHUNK_BYTES):
            yield Chunk(checkpoint_id, offset, data)
            offset += len(data)


class Receiver:
    """Puts checkpoints together in a store's folder."""

    def __init__(self, store: CheckpointStore) -> None:
        self._store = store

    def take(self, chunk: Chunk) -> None:
        """Add a piece; raises OSError when it cannot be written, InputError for an id that names no checkpoint."""
        path = self._unfinished(chunk.checkpoint_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb" if chunk.offset == 0 else "r+b") as file:
            file.seek(chunk.offset)
            file.write(chunk.data)

    def finish(self, checkpoint_id: str) -> Checkpoint:
        """Make what came a checkpoint: durable and verified; raises CorruptError, NotFoundError or OSError."""
        unfinished, final = self._unfinished(checkpoint_id), self._store.folder / checkpoint_id
        try:
            descriptor = os.open(unfinished, os.O_RDONLY)
        except FileNotFoundError:
            raise NotFoundError(f"checkpoint {checkpoint_id}: no byte of it was received") from None
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        unfinished.rename(final)
        try:
            checkpoint = self._store.verify(checkpoint_id)
        except CorruptError:
            final.unlink(missing_ok=True)
            raise
        _sync(final.parent)
        for old in self._store.generations(lineage_in(checkpoint_id))[GENERATIONS:]:
            (self._store.folder / old).unlink(missing_ok=True)
        return checkpoint

    def has(self, checkpoint_id: str) -> bool:
        """Say whether the store holds a checkpoint."""
        return (self._store.folder / _checked(checkpoint_id)).exists()

    def _unfinished(self, checkpoint_id: str) -> Path:
        path = self._store.folder / _checked(checkpoint_id)
        return path.with_name(_UNFINISHED + path.name)


def _checked(checkpoint_id: str) -> str:
    if not _ID.fullmatch(checkpoint_id):
        raise InputError(f"checkpoint id must be job/epoch-sequence.checkpoint, got {checkpoint_id!r}")
    return checkpoint_id


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
