"""Append-only files of bytes that the engine keeps without reading them: payloads of jobs and results.

A frame is magic, length, CRC-32 and body. One `write` call appends it, so a frame survives SIGKILL once `append`
returned; a torn frame at the end (power loss) is found by its checksum and left out.
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
        self._segment = max(self.segments(), default=1)
        self._fd = self._open(self._segment)
        self._end = os.fstat(self._fd).st_size
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
            if self._end + self._pending_bytes >= self._segment_bytes:
                self._flush()
                self._roll()
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
        """Yield every whole frame of every segment in order; a torn one ends its segment."""
        for segment in self.segments():
            data = self._path(segment).read_bytes()
            offset = 0
            while offset + _HEADER.size <= len(data):
                magic, length, crc = _HEADER.unpack_from(data, offset)
                body = data[offset + _HEADER.size : offset + _HEADER.size + length]
                if magic != _MAGIC or len(body) != length or zlib.crc32(body) != crc:
                    break
                digest = hashlib.sha256(body).hexdigest()
                yield Stored(segment=segment, offset=offset, size_bytes=length, digest=digest), body
                offset += _HEADER.size + length

    def sync(self) -> None:
        """Force everything appended so far to the disk (survives power loss)."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Write what is pending and close the files."""
        self.flush()
        for fd in (self._fd, *self._readers.values()):
            os.close(fd)
        self._readers = {}

    def _flush(self) -> None:
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

    def _roll(self) -> None:
        os.close(self._fd)
        self._segment += 1
        self._fd = self._open(self._segment)
        self._end = 0

    def _path(self, segment: int) -> Path:
        return self._folder / f"{self._name}-{segment:06d}.blobs"

    def _open(self, segment: int) -> int:
        return os.open(self._path(segment), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _reader(self, segment: int) -> int:
        if segment not in self._readers:
            try:
                self._readers[segment] = os.open(self._path(segment), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise CorruptError(f"{self._path(segment)} is missing") from error
        return self._readers[segment]
