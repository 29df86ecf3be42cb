"""A journal in memory beside the real one: the same encoding, checksum chain and groups, without a file.

Either may fail as a disk does: nothing of a moment is stored, or all of it is and nobody is told.
"""

import random
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from dnaml.core.errors import CorruptError, StorageUnavailable
from dnaml.core.events import Event, Settled
from dnaml.datasets.journal import SqlJournal, decode_event, encode_event

Row = tuple[str, bytes, int]


class Crash(BaseException):
    """Ends an engine at once, as SIGKILL does; nothing may catch it but the simulation."""


class Store(Protocol):
    """Keeps events over the lives of several engines."""

    def append(self, event: Event) -> None:
        """Keep an event; it is stored from the next flush on."""

    def flush(self) -> None:
        """Store what is pending."""

    def replay(self) -> Iterator[Event]:
        """Yield what is stored, oldest first."""

    def lose_pending(self) -> None:
        """Die: forget what is not stored."""

    @property
    def head(self) -> tuple[int, int]:
        """Return the number of events and the checksum of the last."""


class MemoryJournal:
    """Rows of (kind, body, chain), committed at each Settled."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._pending: list[Row] = []

    @property
    def head(self) -> tuple[int, int]:
        """Return the number of events and the checksum of the last."""
        rows = self._pending or self.rows
        return len(self.rows) + len(self._pending), rows[-1][2] if rows else 0

    def append(self, event: Event) -> None:
        """Keep an event; it is stored from the next flush on."""
        kind, body = type(event).__name__, encode_event(event)
        self._pending.append((kind, body, zlib.crc32(body, zlib.crc32(kind.encode(), self.head[1]))))
        if isinstance(event, Settled):
            self.flush()

    def flush(self) -> None:
        """Store what is pending."""
        self.rows += self._pending
        self._pending = []

    def lose_pending(self) -> None:
        """Die: forget what is not stored."""
        self._pending = []

    def replay(self) -> Iterator[Event]:
        """Yield what is stored, oldest first."""
        chain = 0
        for kind, body, stored in list(self.rows):
            chain = zlib.crc32(body, zlib.crc32(kind.encode(), chain))
            if chain != stored:
                raise CorruptError(f"a {kind} event breaks the chain")
            yield decode_event(kind, body)


class FileJournal:
    """The journal that users have, opened again after each crash."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened = SqlJournal(path)
        self._opened.take_over()

    @property
    def head(self) -> tuple[int, int]:
        """Return the number of events and the checksum of the last."""
        return self._opened.head

    def append(self, event: Event) -> None:
        """Keep an event; it is stored from the next flush on."""
        self._opened.append(event)

    def flush(self) -> None:
        """Store what is pending."""
        self._opened.flush()

    def lose_pending(self) -> None:
        """Die: forget what is not stored."""
        self._opened.abandon()
        self._opened = SqlJournal(self._path)
        self._opened.take_over()

    def replay(self) -> Iterator[Event]:
        """Yield what is stored, oldest first."""
        yield from self._opened.replay()


class FaultyDisk:
    """Refuses a share of the commits; an engine tries a few times, as the real one does, and then ends."""

    def __init__(self, journal: Store, rng: random.Random, share: float) -> None:
        self._journal, self._rng, self.share = journal, rng, share

    def append(self, event: Event) -> None:
        """Give an event to the journal, or end the engine that waits for it."""
        if not isinstance(event, Settled) or self._rng.random() >= self.share:
            self._journal.append(event)
            return
        how = self._rng.randrange(3)
        if how == 0:
            raise Crash(f"the disk refused a moment for too long: {StorageUnavailable.__name__}")
        self._journal.append(event)  # after a refusal it was tried again
        if how == 1:
            raise Crash("the moment was stored, and the answer never came")
