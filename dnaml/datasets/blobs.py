"""Append-only files of bytes that the engine keeps without reading them: payloads of jobs and results.

A frame is magic, length, CRC-32 and body. One `write` call appends it, so a frame survives SIGKILL once `append`
returned; a torn frame (power loss) is found by its checksum and left out. Reading needs no leave to write.
"""

import hashlib
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

from dnaml.core.attempt import Stored
from dnaml.core.errors import CorruptError, StateFolderError

_HEADER = struct.Struct("<4sQI")
_MAGIC = b"dnB1"
SEGMENT_BYTES = 256 * 2**20


class BlobLog:
    """Segments `NAME-000001.blobs` in a folder; safe to use from several threads of one process."""

    def __init__(self, folder: Path, name: str, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._segment_bytes = segment_bytes
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._folder = folder
        self._name = name
        self._lock = threading.Lock()
        self._segment, self._end = 1, 0
        self._fd: int | None = None
        self._readers: dict[int, int] = {}

    def segments(self) -> list[int]:
        """Return the numbers of the segments on disk, oldest first."""
        return sorted(int(path.stem.rpartition("-")[2]) for path in self._folder.glob(f"{self._name}-*.blobs"))

    def append(self, body: bytes, *, digest: str | None = None, later: bool = False) -> Stored:
        """Store bytes and return where they lie; raise StateFolderError when the disk refuses.

        With `later` they are only kept in memory until `flush`, which writes all of them at once.
        """
        frame = _HEADER.pack(_MAGIC, len(body), zlib.crc32(body)) + body
        with self._lock:
            if self._fd is None:
                self._open(max(self.segments(), default=1))
            if self._end + self._pending_bytes >= self._segment_bytes:
                self._flush()
                self._open(self._segment + 1)
            offset = self._end + self._pending_bytes
            self._pending.append(frame)
            self._pending_bytes += len(frame)
            if not later:
                self._flush()
            segment = self._segment
        digest = digest or hashlib.sha256(body).hexdigest()
        return Stored(segment=segment, offset=offset, size_bytes=len(body), digest=digest)

    def flush(self) -> None:
        """Write what was appended with `later`; raise StateFolderError when the disk refuses."""
        if self._pending:
            with self._lock:
                self._flush()

    def read(self, stored: Stored) -> bytes:
        """Return stored bytes; raise CorruptError unless they are exactly what was appended."""
        self.flush()
        fd = self._reader(stored.segment)
        frame = os.pread(fd, _HEADER.size + stored.size_bytes, stored.offset)
        body = frame[_HEADER.size :]
        if len(body) != stored.size_bytes or frame[: _HEADER.size] != _HEADER.pack(_MAGIC, len(body), zlib.crc32(body)):
            raise CorruptError(f"{self._path(stored.segment)}: the frame at byte {stored.offset} fails its checksum")
        return body

    def frames(self) -> Iterator[tuple[Stored, bytes]]:
        """Yield every whole frame of every segment in order; torn and damaged ones are left out."""
        self.flush()
        for segment in self.segments():
            for offset, body in _whole_frames(self._path(segment).read_bytes()):
                digest = hashlib.sha256(body).hexdigest()
                yield Stored(segment=segment, offset=offset, size_bytes=len(body), digest=digest), body

    def close(self) -> None:
        """Write what is pending and close the files."""
        self.flush()
        for fd in (self._fd, *self._readers.values()):
            if fd is not None:
                os.close(fd)
        self._fd, self._readers = None, {}

    def _flush(self) -> None:
        if self._fd is None or not self._pending:
            return
        frames = b"".join(self._pending) if len(self._pending) != 1 else self._pending[0]
        self._pending, self._pending_bytes = [], 0
        try:
            written = os.write(self._fd, frames)
            while written < len(frames):
                written += os.write(self._fd, memoryview(frames)[written:])
        except OSError as error:
            os.ftruncate(self._fd, self._end)
            raise StateFolderError(f"{self._path(self._segment)}: cannot store {len(frames)} bytes: {error}") from error
        self._end += len(frames)

    def _path(self, segment: int) -> Path:
        return self._folder / f"{self._name}-{segment:06d}.blobs"

    def _open(self, segment: int) -> None:
        """Append to a segment from here on."""
        path = self._path(segment)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateFolderError(f"{path}: cannot be written: {error.strerror}") from error
        if self._fd is not None:
            os.close(self._fd)
        self._fd, self._segment, self._end = fd, segment, os.fstat(fd).st_size

    def _reader(self, segment: int) -> int:
        with self._lock:
            if segment not in self._readers:
                try:
                    self._readers[segment] = os.open(self._path(segment), os.O_RDONLY | os.O_CLOEXEC)
                except FileNotFoundError as error:
                    raise CorruptError(f"{self._path(segment)} is missing") from error
            return self._readers[segment]


def _whole_frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, body) of every frame that passes its checksum; what lies between is skipped."""
    offset = data.find(_MAGIC)
    while 0 <= offset <= len(data) - _HEADER.size:
        _, length, crc = _HEADER.unpack_from(data, offset)
        end = offset + _HEADER.size + length
        body = data[offset + _HEADER.size : end]
        whole = len(body) == length and zlib.crc32(body) == crc
        if whole:
            yield offset, body
        offset = data.find(_MAGIC, end if whole else offset + 1)
