"""Beside the journal, a file of one record: how many events were committed, and when.

A write-ahead log that was cut short, or a database that was put back from an older copy, is sound in itself: only
something outside it can tell that its end is missing. It also carries the engine's time over a restart, so that a
wall clock that was set meanwhile moves no deadline.
"""

import os
import struct
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

from dnaml.core.errors import StorageUnavailable

_RECORD = struct.Struct("<4sQIdd16s?")
_CRC = struct.Struct("<I")
_MAGIC = b"dnW1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The last committed event as the witness saw it; `boot` is the run of the machine it was committed in."""

    seq: int
    chain: int
    at_s: float
    boottime_s: float
    boot: bytes
    power_safe: bool

    @property
    def binds(self) -> bool:
        """Say whether these events must be there: no power was lost since, or they had reached the disk before."""
        return self.power_safe or self.boot == this_boot()

    def now_s(self) -> float | None:
        """Return the engine's time now, carried on by the machine's own clock; None after another start of it."""
        return self.at_s + boottime_s() - self.boottime_s if self.boot == this_boot() else None


def this_boot() -> bytes:
    """Return 16 bytes that name this run of the machine; zeros where the system does not tell."""
    try:
        return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)


def boottime_s() -> float:
    """Return seconds since the machine started, sleep included, on a clock that nobody sets."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class Witness:
    """The file; one process writes it, after each commit."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None
        self._boot = this_boot()

    def read(self) -> Seen | None:
        """Return what was seen last; None where there is no record, or no whole one."""
        try:
            data = self.path.read_bytes()
        except OSError:
            return None
        body = data[: _RECORD.size]
        if len(data) != _RECORD.size + _CRC.size or _CRC.pack(zlib.crc32(body)) != data[_RECORD.size :]:
            return None
        magic, seq, chain, at_s, since_boot_s, boot, power_safe = _RECORD.unpack(body)
        if magic != _MAGIC:
            return None
        return Seen(seq=seq, chain=chain, at_s=at_s, boottime_s=since_boot_s, boot=boot, power_safe=power_safe)

    def write(self, seq: int, chain: int, at_s: float, *, power_safe: bool) -> None:
        """Record a commit by one write call; it survives SIGKILL of this process."""
        body = _RECORD.pack(_MAGIC, seq, chain, at_s, boottime_s(), self._boot, power_safe)
        try:
            if self._fd is None:
                self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.pwrite(self._fd, body + _CRC.pack(zlib.crc32(body)), 0)
        except OSError as error:
            raise StorageUnavailable(f"{self.path}: cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
