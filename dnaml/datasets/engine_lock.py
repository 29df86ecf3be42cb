"""Who may work on a state folder: a lock, a number that grows with each engine, and a sign of life for those who wait.

The lock keeps a second engine out while the first lives, also when it is frozen. A standby that sees no sign of life
for long enough puts a new lock in place of the old one and raises the number: an engine that wakes up after that
finds the number changed and neither accepts nor commits.
"""

import fcntl
import mmap
import os
import random
import struct
import time
from pathlib import Path

from dnaml.core.errors import FencedError, StateInUseError

_LIFE = struct.Struct("<QQ")  # generation, beats
TAKE_OVER_AFTER_S = 10.0


class EngineLock:
    """The lock of one folder as one process sees it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / "engine.lock"
        self._fd: int | None = None
        self._life: mmap.mmap | None = None
        self.generation = 0

    def take(self) -> None:
        """Take the lock; raise StateInUseError naming the process that holds it."""
        while True:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(fd, 32).decode(errors="replace").strip() or "unknown"
                os.close(fd)
                raise StateInUseError(
                    f"state folder {self._root} is in use by an engine in process {holder}; "
                    "name another folder or end that process"
                ) from None
            if _is_same(fd, self._path):
                break
            os.close(fd)  # it was replaced while we waited: its holder had been taken over
        self._hold(fd)

    def wait(self, *, take_over_after_s: float = TAKE_OVER_AFTER_S, timeout_s: float | None = None) -> bool:
        """Wait until the lock is free, or its holder gave no sign of life for `take_over_after_s`; then hold it.

        Returns whether the holder was still there: it was frozen, and is fenced off now. Raises StateInUseError after
        `timeout_s`.
        """
        began_s = changed_s = time.monotonic()
        seen = self._read_life()
        while True:
            try:
                self.take()
                return False
            except StateInUseError:
                if timeout_s is not None and time.monotonic() - began_s >= timeout_s:
                    raise
            now = self._read_life()
            if now != seen:
                seen, changed_s = now, time.monotonic()
            elif time.monotonic() - changed_s >= take_over_after_s and self._replace(now):
                return True
            time.sleep(random.uniform(0.05, 0.15))

    def check(self) -> None:
        """Raise FencedError when a later engine has taken over. Costs less than a microsecond."""
        if self._life is not None and _LIFE.unpack_from(self._life)[0] != self.generation:
            raise FencedError(
                f"state folder {self._root}: another engine took over (generation "
                f"{_LIFE.unpack_from(self._life)[0]} after {self.generation}); this one does nothing more"
            )

    def beat(self) -> None:
        """Give a sign of life, about once a second; raise FencedError when it comes too late."""
        self.check()
        if self._life is not None:
            _, beats = _LIFE.unpack_from(self._life)
            struct.pack_into("<Q", self._life, 8, beats + 1)

    def release(self) -> None:
        """Give the lock back."""
        if self._life is not None:
            self._life.close()
            self._life = None
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None

    def _replace(self, seen: tuple[int, int]) -> bool:
        """Put a lock of ours in place of a frozen holder's; False when another standby was quicker."""
        turn = os.open(self._root / "standby.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if self._read_life() != seen:
                return False
            fresh = self._root / f".engine.lock-{os.getpid()}"
            fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.replace(fresh, self._path)
            self._hold(fd)
            return True
        finally:
            os.close(turn)

    def _hold(self, fd: int) -> None:
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        self._fd = fd
        life = os.open(self._root / "engine.life", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(life).st_size < _LIFE.size:
                os.ftruncate(life, _LIFE.size)
            self._life = mmap.mmap(life, _LIFE.size)
        finally:
            os.close(life)
        self.generation = _LIFE.unpack_from(self._life)[0] + 1
        struct.pack_into("<Q", self._life, 0, self.generation)

    def _read_life(self) -> tuple[int, int]:
        try:
            return _LIFE.unpack((self._root / "engine.life").read_bytes()[: _LIFE.size])
        except (OSError, struct.error):
            return (0, 0)


def _is_same(fd: int, path: Path) -> bool:
    """Say whether a path still leads to an open file."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    here = os.fstat(fd)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
