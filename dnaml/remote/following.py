"""Tells futures how their jobs end: by one event stream for all of them, by asking while there is none.

A stream says that a job ended; what it returned is then asked for. Each time a stream begins, every open job is asked
about once, so that nothing which happened before it, or while there was none, is missed.
"""

import contextlib
import random
import threading
import time
from collections.abc import Iterable
from typing import Any

from dnaml.core.errors import DnamlError
from dnaml.remote.answers import NotReachable
from dnaml.remote.book import FEW, Book, Sweep
from dnaml.remote.future import RemoteFuture
from dnaml.remote.sse import ServerEvent
from dnaml.remote.wire import Stream, Wire

PAUSE_S, MOST_PAUSE_S = 0.1, 2.0  # between two streams
IDLE_S = 30.0  # so long a stream is kept open for nothing


class Follower:
    """Follows the open futures of one executor, on a thread that begins with the first of them."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._book: Book[RemoteFuture[Any]] = Book()  # whatever the jobs return
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stream: Stream | None = None
        self._last_id = ""
        self._pause_s = PAUSE_S

    def expect(self) -> int:
        """Say that a future is about to come; what this returns is handed to `keep` with it."""
        with self._news:
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow, name="dnaml-remote", daemon=True)
                self._thread.start()
            return self._book.round

    def keep(self, futures: Iterable[RemoteFuture[Any]], expected: int) -> None:
        """Follow futures until their jobs are over."""
        with self._news:
            missed = [future for future in futures if self._book.keep(future.job_id, future, expected)]
            self._news.notify_all()
        for future in missed:  # it may have ended before anybody knew its id
            try:
                self._ask(future)
            except NotReachable:
                self._interrupt()  # the next stream asks about all

    def open_futures(self) -> list[RemoteFuture[Any]]:
        """Return the futures whose jobs are not over."""
        with self._news:
            return list(self._book.open.values())

    def close(self) -> None:
        """End the thread; futures that are open stay so."""
        self._wire.closed.set()
        with self._news:
            self._news.notify_all()
        self._interrupt()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _interrupt(self) -> None:
        stream = self._stream
        if stream is not None:
            stream.interrupt()

    # -- on the thread -----------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        while not self._wire.closed.is_set():
            with self._news:
                while not self._book.open and not self._wire.closed.is_set():
                    self._news.wait()
            if self._wire.closed.is_set():
                return
            try:
                self._listen()
            except DnamlError:  # no stream, or no longer: the jobs themselves say what is wrong, if anything is
                self._without_stream()
            if self._book.open:
                self._wire.closed.wait(self._pause_s * random.uniform(0.5, 1.0))
                self._pause_s = min(2 * self._pause_s, MOST_PAUSE_S)

    def _without_stream(self) -> None:
        if not self._wire.closed.is_set():
            with contextlib.suppress(NotReachable):  # the jobs wait in the service's journal, the futures here
                self._ask_about_all()

    def _listen(self) -> None:
        """Follow one stream until it ends, breaks, or nobody waits for anything."""
        with self._wire.stream("/events", last_id=self._last_id) as stream:
            self._stream = stream
            try:
                if self._wire.closed.is_set():
                    return
                with self._news:
                    self._book.round += 1
                self._ask_about_all()
                self._pause_s = PAUSE_S
                self._read(stream)
            finally:
                self._stream = None

    def _read(self, stream: Stream) -> None:
        busy_s = time.monotonic()
        for events in stream.events():
            for event in events:
                self._take(event)
            self._last_id = stream.last_id
            now_s = time.monotonic()
            busy_s = now_s if self._book.open else busy_s
            if self._wire.closed.is_set() or now_s - busy_s > IDLE_S:
                return

    def _take(self, event: ServerEvent) -> None:
        with self._news:
            found = self._book.take(event)
        if found is not None:
            future, ended = found
            if ended:
                self._ask(future)
            else:
                future._begin()

    def _ask_about_all(self) -> None:
        waiting = self.open_futures()
        if len(waiting) > FEW:
            sweep = Sweep({future.job_id: future for future in waiting})
            with contextlib.suppress(DnamlError):  # asked one by one, each is told what is wrong
                while sweep.more:
                    sweep.take(self._wire.ask("GET", "/jobs", params=sweep.params()))
            waiting = sweep.wanted()
        for future in waiting:
            self._ask(future)

    def _ask(self, future: RemoteFuture[Any]) -> None:
        try:
            over = future._tell(self._wire.ask("GET", f"/jobs/{future.job_id}"))
        except NotReachable:
            raise
        except DnamlError as error:
            future._fail(error)
            over = True
        if over:
            with self._news:
                self._book.close(future.job_id)
