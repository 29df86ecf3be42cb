"""Frees what lies in a full segment of a blob log: the bytes become a hole, and everything else stays where it is.

Who points into the log need not be changed. A segment is copied without the freed frames, flushed, and put in place by
one rename: a crash leaves the old file or the new one, and who has the old one open goes on reading it. Only segments
behind the newest are touched: nobody appends to those, so an engine may work meanwhile.
"""

import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from dnaml.core.attempt import Stored
from dnaml.core.errors import CorruptError, StateFolderError
from dnaml.datasets.blobs import FREED, BlobLog
from dnaml.datasets.group_sync import sync_folder

_BLOCK = 4096
_NOTHING = bytes(_BLOCK)


def freed_before_s(blobs: Path) -> float:
    """Return the moment up to which results of ended jobs may be gone; minus infinity where nothing was ever freed."""
    try:
        return float(json.loads((blobs / FREED).read_text())["before_s"])
    except FileNotFoundError:
        return -math.inf
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptError(f"{blobs / FREED}: cannot be read: {error}") from error


def note_freed(blobs: Path, before_s: float) -> None:
    """Write, before anything is freed, up to which moment it may be; a moment once noted never moves back."""
    text = json.dumps({"before_s": max(before_s, freed_before_s(blobs))})
    _replace(blobs / FREED, lambda fd: _write_at(fd, text.encode(), 0))


def full_segments(log: BlobLog) -> list[int]:
    """Return the segments that nobody appends to any more, oldest first."""
    return log.segments()[:-1]


def free(log: BlobLog, segment: int, frames: Sequence[Stored], *, written: Callable[[], None]) -> int:
    """Free whole frames of a full segment, as the log yields them; return the bytes that the disk got back.

    `written` is called between the flush of the copy and its rename.
    """
    path = log.path(segment)
    content = bytearray(path.stat().st_size)
    with path.open("rb", buffering=0) as file:
        file.readinto(content)
    for frame in frames:
        start, end = log.span(frame)
        content[start:end] = bytes(end - start)
    if content.count(0) == len(content):
        content.clear()
    before_bytes = path.stat().st_blocks * 512

    def write(fd: int) -> None:
        os.ftruncate(fd, len(content))
        for start in range(0, len(content), _BLOCK):
            block = content[start : start + _BLOCK]
            if block != _NOTHING[: len(block)]:
                _write_at(fd, bytes(block), start)

    _replace(path, write, written)
    return max(0, before_bytes - path.stat().st_blocks * 512)


def _replace(path: Path, write: Callable[[int], None], written: Callable[[], None] = lambda: None) -> None:
    """Put a new file in place of one, whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write(fd)
            os.fsync(fd)
        finally:
            os.close(fd)
        written()
        os.replace(fresh, path)
        sync_folder(path.parent)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise StateFolderError(f"{path}: cannot be written anew: {error}") from error


def _write_at(fd: int, content: bytes, start: int) -> None:
    done = 0
    while done < len(content):
        done += os.pwrite(fd, content[done:], start + done)
