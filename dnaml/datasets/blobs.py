"""Append-only files of bytes that the engine keeps without reading them: payloads of jobs and results.

A frame is magic, length, CRC-32 and body. One `write` call appends it, so a frame survives SIGKILL once `append`
returned; a torn frame (power loss) is found by its checksum and left out. Reading needs no leave to write.
"""

import contextlib
import errno
import hashlib
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from dnaml.core.attempt import Stored
from dnaml.core.errors import CorruptError, NotFoundError, StateFolderError, StorageUnavailable
from dnaml.datasets.group_sync import GroupSync, sync_folder

_HEADER = struct.Struct("<4sQI")
_MAGIC = b"dnB1"
SEGMENT_BYTES = 256 * 2**20
FREED = "freed.json"  # says that frames were freed on purpose, and up to which moment
_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class BlobLog:
    """Segments `NAME-000001.blobs` in a folder; safe to use from several threads of one process.

    With `fresh` it begins a segment of its own: whoever wrote the earlier ones may still be alive.
    """

    def __init__(self, folder: Path, name: str, *, segment_bytes: int = SEGMENT_BYTES, fresh: bool = False) -> None:
        self._segment_bytes = segment_bytes
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._folder = folder
        self._name = name
        self._lock = threading.Lock()
        self._segment, self._end = 1, 0
        self._fresh = fresh
        self._fd: int | None = None
        self._readers: dict[int, int] = {}
        self._named = 0  # the segment whose name is known to be on the disk
        self._group = GroupSync(self._sync_segment)

    def segments(self) -> list[int]:
        """Return the numbers of the segments on disk, oldest first."""
        return sorted(int(path.stem.rpartition("-")[2]) for path in self._folder.glob(f"{self._name}-*.blobs"))

    def append(self, body: bytes, *, digest: str | None = None, later: bool = False) -> Stored:
        """Store bytes and return where they lie; raise StateFolderError when the disk refuses.

        With `later` they are only kept in memory until `flush`, which writes all of them at once.
        """
        if not later:
            return self.append_all([body], digest=digest)[0]
        with self._lock:
            self._group.check()
            return self._add(body, digest)

    def append_all(self, bodies: Sequence[bytes], *, digest: str | None = None) -> list[Stored]:
        """Store several by one write, all or none, and return where they lie."""
        with self._lock:
            self._group.check()
            self._flush()
            try:
                stored = [self._add(body, digest) for body in bodies]
                self._flush()
            except StateFolderError:
                self._pending, self._pending_bytes = [], 0
                raise
            return stored

    def flush(self) -> None:
        """Write what was appended with `later`; when the disk refuses, it is kept for the next time.

        Raises StorageUnavailable where the disk is full or read-only, StateFolderError on any other refusal.
        """
        if self._pending:
            with self._lock:
                self._flush()

    def sync(self) -> None:
        """Return once all that was appended before this call survives power loss; callers share flushes of the disk.

        Raises StateFolderError when the disk failed. What it did not confirm counts as lost, and nothing more is
        appended: a second flush of the same file might succeed without having written anything.
        """
        self._group.wait()

    @property
    def end(self) -> tuple[int, int]:
        """Return segment and byte at which the next frame will lie."""
        with self._lock:
            self._open_last()
            return self._segment, self._end + self._pending_bytes

    def _add(self, body: bytes, digest: str | None) -> Stored:
        self._open_last()
        if self._end + self._pending_bytes >= self._segment_bytes:
            self._flush()
            self._leave_segment()
            self._open(self._segment + 1)
        offset = self._end + self._pending_bytes
        frame = _HEADER.pack(_MAGIC, len(body), zlib.crc32(body)) + body
        self._pending.append(frame)
        self._pending_bytes += len(frame)
        digest = digest or hashlib.sha256(body).hexdigest()
        return Stored(segment=self._segment, offset=offset, size_bytes=len(body), digest=digest)

    def read(self, stored: Stored) -> bytes:
        """Return stored bytes; raise CorruptError unless they are exactly what was appended.

        Raises NotFoundError where nothing lies any more and frames of these logs were freed on purpose.
        """
        self.flush()
        fd = self._reader(stored.segment)
        frame = os.pread(fd, _HEADER.size + stored.size_bytes, stored.offset)
        body = frame[_HEADER.size :]
        if not any(frame[: _HEADER.size]) and (self._folder / FREED).exists():
            raise NotFoundError(f"{self.path(stored.segment)}: what lay at byte {stored.offset} was let go of")
        if len(body) != stored.size_bytes or frame[: _HEADER.size] != _HEADER.pack(_MAGIC, len(body), zlib.crc32(body)):
            raise CorruptError(f"{self.path(stored.segment)}: the frame at byte {stored.offset} fails its checksum")
        return body

    def frames(self, after: tuple[int, int] = (0, 0)) -> Iterator[tuple[Stored, bytes]]:
        """Yield every whole frame from (segment, byte) on, in order; torn and damaged ones are left out.

        Digests are not computed: a frame has its own checksum.
        """
        self.flush()
        for segment in self.segments():
            if segment < after[0]:
                continue
            yield from self.frames_of(segment, after[1] if segment == after[0] else 0)

    def frames_of(self, segment: int, start: int = 0) -> Iterator[tuple[Stored, bytes]]:
        """Yield every whole frame of one segment from a byte on, as `frames` does."""
        with self.path(segment).open("rb") as file:
            file.seek(start)
            data = file.read()
        for offset, body in _whole_frames(data):
            yield Stored(segment=segment, offset=start + offset, size_bytes=len(body), digest="-"), body

    def span(self, stored: Stored) -> tuple[int, int]:
        """Return the bytes of a segment that a frame takes, header and all: the first, and the one behind the last."""
        return stored.offset, stored.offset + _HEADER.size + stored.size_bytes

    def newest(self, size_bytes: int) -> tuple[int, int]:
        """Return the (segment, byte) from which on about so many bytes lie; a frame may begin only after it."""
        found = (0, 0)
        for segment in reversed(self.segments()):
            found = (segment, max(0, self.path(segment).stat().st_size - size_bytes))
            size_bytes -= self.path(segment).stat().st_size
            if size_bytes <= 0:
                break
        return found

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
        try:
            written = os.write(self._fd, frames)
            while written < len(frames):
                written += os.write(self._fd, memoryview(frames)[written:])
        except OSError as error:
            with contextlib.suppress(OSError):  # a read-only file system: nothing was written there anyway
                os.ftruncate(self._fd, self._end)
            said = f"{self.path(self._segment)}: cannot store {len(frames)} bytes: {error}"
            raise (StorageUnavailable if error.errno in _PASSING else StateFolderError)(said) from error
        self._pending, self._pending_bytes = [], 0
        self._end += len(frames)
        self._group.note()

    def _sync_segment(self) -> None:
        """Flush the newest segment to the disk; the earlier ones were flushed when they were left."""
        with self._lock:
            self._open_last()
            fd = os.dup(self._fd) if self._fd is not None else None
            path, named = self.path(self._segment), self._segment
        if fd is None:
            return
        try:
            os.fdatasync(fd)
            if self._named != named:
                sync_folder(self._folder)
                self._named = named
        except OSError as error:
            raise StateFolderError(f"{path}: the disk did not confirm what was written: {error}") from error
        finally:
            os.close(fd)

    def path(self, segment: int) -> Path:
        """Return the file of a segment."""
        return self._folder / f"{self._name}-{segment:06d}.blobs"

    def _leave_segment(self) -> None:
        """Flush a full segment to the disk: a later `sync` looks at the newest one only."""
        if self._fd is not None:
            try:
                os.fdatasync(self._fd)
            except OSError as error:
                failure = StateFolderError(f"{self.path(self._segment)}: the disk did not confirm it: {error}")
                self._group.fail(failure)
                raise failure from error

    def _open_last(self) -> None:
        if self._fd is None:
            newest = max(self.segments(), default=0)
            self._open(newest + 1 if self._fresh else max(newest, 1))

    def _open(self, segment: int) -> None:
        """Append to a segment from here on."""
        path = self.path(segment)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            said = f"{path}: cannot be written: {error.strerror}"
            raise (StorageUnavailable if error.errno in _PASSING else StateFolderError)(said) from error
        if self._fd is not None:
            os.close(self._fd)
        self._fd, self._segment, self._end = fd, segment, os.fstat(fd).st_size

    def _reader(self, segment: int) -> int:
        with self._lock:
            if segment not in self._readers:
                try:
                    self._readers[segment] = os.open(self.path(segment), os.O_RDONLY | os.O_CLOEXEC)
                except FileNotFoundError as error:
                    raise CorruptError(f"{self.path(segment)} is missing") from error
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
