"""The way into a live back end's stream: events come from any thread, and a loop that waits is woken by a pipe.

The loop waits for its inbox and its own files together, with one selector.
"""

import contextlib
import os
import select
import selectors
import threading
import time
from collections import deque
from collections.abc import Iterator

from dnaml.core.events import Event

Ready = list[tuple[selectors.SelectorKey, int]]


class Inbox:
    """Holds what was posted and not taken yet; `post` and `ring` may be called from any thread, also after `close`."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._events: deque[Event] = deque()
        self._asleep = False
        self._ringing = threading.Lock()
        self._open = True
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)
        selector.register(self._read, selectors.EVENT_READ, None)
        self._posted = select.poll()
        self._posted.register(self._read, select.POLLIN)

    def post(self, *events: Event) -> None:
        """Add events, all at one moment."""
        self._events.extend(events)
        if self._asleep:
            self.ring()

    def ring(self) -> None:
        """Wake the loop; nothing happens once the inbox is closed."""
        self._asleep = False
        with self._ringing, contextlib.suppress(BlockingIOError):  # a pipe that is full wakes the loop anyway
            if self._open:
                os.write(self._write, b"!")

    def wait(self, until_s: float) -> Ready:
        """Wait until something is posted, a watched file is ready or that time (monotonic) comes; return the files."""
        self._asleep = not self._events
        timeout_s = max(0.0, until_s - time.monotonic()) if self._asleep and not self._events else 0.0
        ready = self._selector.select(timeout_s)
        self._asleep = False
        if ready and any(key.fd == self._read for key, _ in ready):
            os.read(self._read, 4096)
            ready = [each for each in ready if each[0].fd != self._read]
        return ready

    def rest(self, for_s: float) -> None:
        """Wait so long, or until something is posted: what else is ready stays so until the next `wait`."""
        self._asleep = not self._events
        if self._asleep and not self._events:
            self._posted.poll(for_s * 1000)
        self._asleep = False

    def take(self) -> Iterator[Event]:
        """Yield what was posted before the call."""
        for _ in range(len(self._events)):
            yield self._events.popleft()

    def close(self) -> None:
        """Close the pipe; what is still posted is never taken."""
        with self._ringing:
            self._open = False
            os.close(self._read)
            os.close(self._write)
