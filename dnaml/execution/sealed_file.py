"""The file of a checkpoint: a fixed head, the sections of the state, a manifest, and a SHA-256 over all of it.

It is written once, front to back, and is valid only as a whole: every changed, missing or added byte is refused. The
head alone says the schema version, under its own digest, so that a newer file is told from a broken one. Nothing here
looks into the sections. Layout: head (64) | sections, each from a multiple of 16 | manifest JSON | tail (48).
"""

import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from dnaml.core.errors import CorruptError
from dnaml.execution.crashpoints import CrashPoint, reach

SCHEMA_VERSION = 1
"""Is raised when the layout or the meaning of a section changes; a reader refuses what is newer than itself."""

_MAGIC = b"dnaml checkpoint"
_END = b"dnaml_ck"
_HEAD = struct.Struct("<16sI12x32s")
_TAIL = struct.Struct("<Q32s8s")
_LENGTH = struct.Struct("<Q")
_ALIGN = 16
_CHUNK_BYTES = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Says whose state a file holds and where its sections lie; `pickled` means that loading it runs code."""

    job_id: str
    computation_id: str
    attempt_id: str
    epoch: int
    sequence: int
    progress: float
    taken_at_s: float
    pickled: bool
    sections: dict[str, tuple[int, int]]  # name -> start and length


class Writer:
    """Writes one file from front to back while it digests it; every section is a stream of chunks."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._at = 0
        self.sections: dict[str, tuple[int, int]] = {}
        self._write(_head(SCHEMA_VERSION))

    def section(self, name: str, chunks: Iterable[bytes | memoryview]) -> None:
        """Add a section."""
        self._write(bytes(-self._at % _ALIGN))
        start = self._at
        for chunk in chunks:
            self._write(chunk)
        self.sections[name] = (start, self._at - start)

    def seal(self, manifest: Manifest) -> int:
        """Add manifest and digest and bring all of it to the disk; return the size in bytes."""
        body = json.dumps(asdict(manifest)).encode()
        reach(CrashPoint.CHECKPOINT_BODY_WRITTEN)
        self._write(body)
        length = _LENGTH.pack(len(body))
        self._digest.update(length)
        self._file.write(_TAIL.pack(len(body), self._digest.digest(), _END))
        self._file.flush()
        reach(CrashPoint.CHECKPOINT_WRITTEN)
        os.fsync(self._file.fileno())
        reach(CrashPoint.CHECKPOINT_SYNCED)
        return self._at + _TAIL.size

    def _write(self, chunk: bytes | memoryview) -> None:
        self._digest.update(chunk)
        self._file.write(chunk)
        self._at += len(chunk)


def read(path: Path) -> tuple[Manifest, memoryview]:
    """Return the manifest and all bytes (writable memory) of a file; raise CorruptError unless it is whole."""
    size_bytes = path.stat().st_size
    data = memoryview(bytearray(size_bytes))
    with path.open("rb", buffering=0) as file:
        got = 0
        while got < size_bytes and (count := file.readinto(data[got:])):
            got += count
    return _checked(path, lambda start, count: data[start : start + count], got), data


def verify(path: Path) -> Manifest:
    """Return the manifest of a file, read in pieces; raise CorruptError unless every byte is as it was written."""
    with path.open("rb", buffering=0) as file:

        def part(start: int, count: int) -> bytes:
            data = os.pread(file.fileno(), count, start)
            if len(data) < count:
                raise CorruptError(f"checkpoint {path}: must have {count} bytes from {start}, got {len(data)}")
            return data

        return _checked(path, part, path.stat().st_size)


def _checked(path: Path, part: Callable[[int, int], bytes | memoryview], size_bytes: int) -> Manifest:
    """Check head, tail, digest and manifest, in this order; `part` gives bytes by start and count."""
    tail_at = size_bytes - _TAIL.size
    if tail_at < _HEAD.size:
        raise CorruptError(f"checkpoint {path}: must have at least {_HEAD.size + _TAIL.size} bytes, got {size_bytes}")
    _check_head(path, bytes(part(0, _HEAD.size)))
    length, expected, end = _TAIL.unpack(part(tail_at, _TAIL.size))
    if end != _END or length > tail_at - _HEAD.size:
        raise CorruptError(f"checkpoint {path}: must end with its seal, got another end")
    digest = hashlib.sha256()
    for start in range(0, tail_at, _CHUNK_BYTES):
        digest.update(part(start, min(_CHUNK_BYTES, tail_at - start)))
    digest.update(_LENGTH.pack(length))
    if digest.digest() != expected:
        raise CorruptError(f"checkpoint {path}: its bytes must match the SHA-256 in its seal, got another digest")
    fields = json.loads(bytes(part(tail_at - length, length)))
    fields["sections"] = {name: (start, count) for name, (start, count) in fields["sections"].items()}
    return Manifest(**fields)


def _check_head(path: Path, head: bytes) -> None:
    magic, version, _ = _HEAD.unpack(head)
    if magic != _MAGIC or head != _head(version):
        raise CorruptError(f"checkpoint {path}: must begin with the head of a checkpoint, got other bytes")
    if version > SCHEMA_VERSION:
        raise CorruptError(
            f"checkpoint {path}: schema version must be at most {SCHEMA_VERSION}, which this dnaml reads, got {version}"
        )


def _head(version: int) -> bytes:
    """Return the head of a file; bytes of padding are covered by comparing the whole."""
    digest = hashlib.sha256(_MAGIC + struct.pack("<I", version)).digest()
    return _HEAD.pack(_MAGIC, version, digest)
