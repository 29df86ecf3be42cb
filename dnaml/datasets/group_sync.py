"""Many who wait for the disk share one flush of it: whoever comes while one runs is served by the next."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from dnaml.core.errors import StateFolderError


class GroupSync:
    """Counts what was written and what the disk confirmed; `flush` is called by one waiter at a time.

    After a failed flush everything is refused: the system forgets what it could not write, so a later flush that
    succeeds says nothing about it.
    """

    def __init__(self, flush: Callable[[], None]) -> None:
        self._flush = flush
        self._changed = threading.Condition()
        self._written = self._confirmed = 0
        self._leading = False
        self._failure: StateFolderError | None = None

    def note(self) -> None:
        """Note that something was written."""
        with self._changed:
            self._written += 1

    def check(self) -> None:
        """Raise what made an earlier flush fail."""
        if self._failure is not None:
            raise StateFolderError(str(self._failure)) from self._failure

    def fail(self, failure: StateFolderError) -> None:
        """Refuse everything from here on."""
        with self._changed:
            self._failure = self._failure or failure
            self._changed.notify_all()

    def wait(self) -> None:
        """Return once all that was noted before is on the disk; raise StateFolderError when it may not be."""
        with self._changed:
            mine = self._written
            while self._confirmed < mine:
                self.check()
                if self._leading:
                    self._changed.wait()
                else:
                    self._lead()

    def _lead(self) -> None:
        """Flush for all who wait; called with the condition held, which is let go meanwhile."""
        self._leading = True
        covered = self._written
        self._changed.release()
        failure: StateFolderError | None = None
        try:
            self._flush()
        except StateFolderError as error:
            failure = error
        finally:
            self._changed.acquire()
            self._leading = False
            self._failure = self._failure or failure
            if failure is None:
                self._confirmed = max(self._confirmed, covered)
            self._changed.notify_all()


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
