"""The thread that sends: takes rows from a bounded queue, spools them, and writes parts to the store when it answers.

While jobs run it works for at most a small share of the time. A store that is down is asked again after a second, then
two, up to a minute; nobody waits for it but this thread.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dnaml import tracking
from dnaml.logbook import LogSettings
from dnaml.logbook.pages import SESSION, own_pages, session_page
from dnaml.logbook.spool import Spool, read

MOST_WAITING = 50_000  # rows in memory; the oldest go, and are counted
LONGEST_PAUSE_S = 60.0
LOCAL_PATIENCE = 6.0  # how much longer a file of our own may take at the end than a server
_log = logging.getLogger(__name__)

Make = Callable[[], Mapping[str, Any]]
"""makes a row's JSON values, in this thread and not in the engine's"""


class Sender:
    """Sends the rows of one session. `put` costs a microsecond and never waits."""

    def __init__(self, spool: Spool, store: tracking.Store, settings: LogSettings) -> None:
        self._spool, self._store, self._settings = spool, store, settings
        self._queue: deque[Make] = deque(maxlen=MOST_WAITING)
        self._given = self._taken = 0
        self._runs: dict[str, tuple[str, int]] = {}  # session -> run id, rows sent
        self._tagged: dict[str, int] = {}  # session -> tags sent
        self._closing = threading.Event()
        self._pause_s = 0.0
        self._thread = threading.Thread(target=self._work, name="dnaml-logbook", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Return how many rows were lost: the queue or the spool was full."""
        return self._spool.dropped + self._given - self._taken - len(self._queue)

    def put(self, make: Make) -> None:
        """Add a row."""
        self._given += 1
        self._queue.append(make)

    def close(self) -> None:
        """Send what waits, within the time allowed; what is left stays in the spool for a later session."""
        self._closing.set()
        patience = 1.0 if self._store.database is None else LOCAL_PATIENCE  # making its tables takes seconds, once
        self._thread.join(patience * self._settings.close_s)

    def _work(self) -> None:
        while True:
            ending = self._closing.wait(max(self._settings.send_every_s, self._pause_s))
            began_s = time.thread_time()
            try:
                self._take_in()
                self._send(until_s=None if not ending else time.monotonic() + LOCAL_PATIENCE * self._settings.close_s)
                self._pause_s = 0.0
                if ending and not self._spool.parts():
                    self._finish()
            except Exception as error:  # noqa: BLE001  # the thread's edge: no store, however wrong, may end it
                _log.info("not sent, tried again later: %s", error)
                self._pause_s = min(max(1.0, 2.0 * self._pause_s), LONGEST_PAUSE_S)
            if ending:
                return
            self._rest(time.thread_time() - began_s)

    def _rest(self, worked_s: float) -> None:
        """Leave the processor to the work for a while in proportion to what was used."""
        self._closing.wait(min(worked_s / self._settings.busy_share, LONGEST_PAUSE_S))

    def _take_in(self) -> None:
        waiting = len(self._queue)
        rows = []
        for _ in range(waiting):
            try:
                make = self._queue.popleft()
            except IndexError:  # the newest pushed the oldest out meanwhile
                break
            self._taken += 1
            rows.append(make())
        if rows:
            self._spool.add(rows)

    def _send(self, *, until_s: float | None) -> None:
        for part in self._spool.parts():
            if until_s is not None and time.monotonic() > until_s:
                return
            self._send_part(part)

    def _send_part(self, part: Path) -> None:
        try:
            header, rows = read(part)
        except ValueError as error:
            _log.warning("left out: %s", error)
            part.unlink(missing_ok=True)
            return
        session = str(header["session"])
        run_id, sent = self._runs.get(session, (None, 0))
        run_id = run_id or tracking.page_of(SESSION, session, store=self._store)
        tags = header["tags"] if self._tagged.get(session) != len(header["tags"]) else {}
        page = session_page({**header, "tags": tags}, rows, part, sent)
        (run_id,) = tracking.write_pages([page], store=self._store, run_id=run_id)
        self._runs[session] = (run_id, sent + len(rows))
        self._tagged[session] = len(header["tags"])
        pages = own_pages(header, rows, parent=run_id, own_run_s=self._settings.own_run_s)
        part.unlink(missing_ok=True)
        if pages:
            tracking.write_pages(pages, store=self._store)

    def _finish(self) -> None:
        """Mark the sessions that were sent as ended."""
        for run_id, _ in self._runs.values():
            tracking.write_pages([tracking.Page(name="")], store=self._store, run_id=run_id)
