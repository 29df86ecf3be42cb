"""Everything durable of one engine: its lock, journal and logs, opened in order, written in order, read at a restart.

Order of a moment: what events point at is written (and flushed, where power loss must be survived), then the journal
commits the events, then anybody is told.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from dnaml.core import events as ev
from dnaml.core.errors import CorruptError, DnamlError, StorageUnavailable
from dnaml.core.events import Command, EndJob, Event
from dnaml.datasets.blobs import BlobLog
from dnaml.datasets.database import Durability
from dnaml.datasets.journal import SqlJournal
from dnaml.datasets.migrations import open_journal
from dnaml.datasets.pages import PAGE_ROWS
from dnaml.datasets.state import StateFolder
from dnaml.durable.admission import Admission
from dnaml.durable.replay_index import Keeper, ReplayIndex, check_matches, read_index, write_index
from dnaml.durable.settings import StorageSettings
from dnaml.execution.crashpoints import CrashPoint, reach

_log = logging.getLogger(__name__)
INDEX = "replay.index"
_SOONER = 8  # a way back that was long is renewed at a start; afterwards it may be so many times as long


class Store:
    """Opens a state folder for one engine; raises StateInUseError, or waits where `standby` is set.

    `damaged` is called from another thread when a check in the background finds the journal damaged.
    """

    def __init__(self, state: StateFolder, settings: StorageSettings, damaged: Callable[[CorruptError], None]) -> None:
        self.state, self._settings, self._damaged = state, settings, damaged
        self.power_safe = settings.durability is Durability.POWER
        frozen = self._lock()
        opened: list[BlobLog] = []
        try:
            self.journal = self._open_journal()
            self.generation = self.journal.take_over(evict=frozen)
            for name in ("payloads", "outcomes", "decisions"):
                opened.append(BlobLog(state.blobs, name, segment_bytes=settings.segment_bytes, fresh=frozen))
        except BaseException:
            state.unlock()
            raise
        self.payloads, self.outcomes, self.decisions = opened
        self.admission = Admission(
            self.payloads,
            self.journal,
            lambda: self._open_journal(read_only=True),
            state.engine.check,
            durable=self.power_safe,
            patience_s=settings.admission_patience_s,
        )
        self._keeper = Keeper(settings.recent_jobs)
        self._index: ReplayIndex | None = None
        self._journaled: set[str] = set()
        self._indexed = self._packed = self._replayed = 0
        self._closing = threading.Event()
        self._checker: threading.Thread | None = None

    def _lock(self) -> bool:
        """Take the folder's lock; True when it was taken from an engine that is frozen."""
        if self._settings.standby:
            return self.state.stand_by(take_over_after_s=self._settings.take_over_after_s)
        self.state.lock()
        return False

    def _open_journal(self, *, read_only: bool = False) -> SqlJournal:
        """Open the journal; one that is locked by others is tried again for as long as patience lasts."""
        until_s = time.monotonic() + self._settings.patience_s
        while True:
            try:
                return open_journal(
                    self.state,
                    self._settings.journal_url,
                    read_only=read_only,
                    durability=self._settings.durability,
                )
            except StorageUnavailable:
                if time.monotonic() >= until_s:
                    raise
                time.sleep(random.uniform(0.05, 0.25))

    def now_s(self) -> float | None:
        """Return the time that earlier engines of this run of the machine went by; None where that is not known.

        Wall clocks may have been set meanwhile: what was promised in seconds must not move with them.
        """
        seen = self.journal.seen
        return seen.now_s() if seen is not None else None

    # -- a restart -----------------------------------------------------------------------------------------------------

    def replay(self) -> Iterator[Event]:
        """Yield the events that a new controller has to take in; raise CorruptError on any damage among them."""
        index = read_index(self.state.root / INDEX)
        after = 0
        if index is not None and check_matches(index, self.journal.chain_at(index.seq), self.payloads.end):
            self._index, after = index, index.seq
            self._check_the_rest()
            for seq, event in self.journal.chosen(index.numbers()):
                yield self._taken(seq, event)
        for seq, event in self.journal.numbered(after):
            yield self._taken(seq, event)
        self._indexed, self._replayed = self.journal.head[0], self.journal.head[0] - after
        self._packed = self.journal.packed

    def _taken(self, seq: int, event: Event) -> Event:
        if isinstance(event, ev.Submitted):
            self._journaled.add(event.job.id)
        self._keeper.note(seq, event)
        return event

    def followed(self, commands: Sequence[Command]) -> None:
        """Take what followed from a replayed event: the ends of jobs."""
        for command in commands:
            if isinstance(command, EndJob):
                self._keeper.ended(command.job_id)

    def missed(self, is_open: Callable[[str], bool], at_s: float) -> list[ev.Submitted]:
        """Return the jobs that were accepted but never came into the journal, after `replay`."""
        index = self._index
        known = index.stored() if index is not None else {}
        if index is not None:
            self._journaled.update(index.beyond)
        after = index.watermark if index is not None else (0, 0)
        found = list(self.admission.take_in(known, after, self._journaled, is_open, at_s))
        self._journaled, self._index = set(), None
        if self._replayed >= self._settings.index_every_events // _SOONER:
            self._write_index()  # engines that are killed young would each replay more than the one before
        return found

    def _check_the_rest(self) -> None:
        """Read the part of the journal that is not replayed: at once while that is quick, else beside the engine."""
        if self.state.journal.exists() and self.journal.head[0] <= self._settings.check_at_once_events:
            self.journal.check()
        else:
            self._checker = threading.Thread(target=self._check_beside, name="dnaml-check", daemon=True)
            self._checker.start()

    def _check_beside(self) -> None:
        try:
            journal = self._open_journal(read_only=True)
            try:
                journal.check(stop=self._closing.is_set)
            finally:
                journal.abandon()
        except CorruptError as error:
            self._damaged(error)
        except DnamlError as error:
            _log.warning("the journal could not be checked: %s", error)

    # -- the loop ------------------------------------------------------------------------------------------------------

    def before(self, event: Event) -> None:
        """Write what the events of a moment point at, before the journal commits them."""
        if isinstance(event, ev.Settled):
            self._patiently(self._write_blobs)
        elif isinstance(event, ev.Submitted):
            self.admission.journaled(event)

    def append(self, event: Event) -> None:
        """Give an event to the journal; a Settled returns once the moment is committed.

        While the storage refuses for now, nobody is admitted and it is tried again for as long as patience lasts.
        """
        try:
            self.journal.append(event)
        except StorageUnavailable as error:
            self._patiently(self.journal.flush, error)
        self._keeper.note(self.journal.head[0], event)
        if isinstance(event, ev.Settled):
            reach(CrashPoint.MOMENT_COMMITTED)
            self.admission.committed()

    def ended(self, job_id: str) -> None:
        """Take the end of a job."""
        self._keeper.ended(job_id)
        self.admission.forget(job_id)

    def look_around(self) -> None:
        """Give a sign of life, and now and then renew the way back; raise FencedError when another took over."""
        self.state.engine.beat()
        news = self.journal.head[0] - self._indexed
        if news >= max(self._settings.index_every_events, 2 * len(self._keeper)):
            self._write_index()
        self._pack()

    def _pack(self) -> None:
        """Pack old events for a moment: those that a restart replays, if any, are read from their pages."""
        upto = min(self._indexed, self.journal.head[0] - self._settings.pack_beyond_events)
        if self._packed + PAGE_ROWS > upto:
            return
        until_s = time.monotonic() + self._settings.pack_for_s
        try:
            while self.journal.pack(upto) and time.monotonic() < until_s:
                pass
            self._packed = self.journal.packed
        except StorageUnavailable as error:
            _log.warning("old events are packed later: %s", error)

    def _write_blobs(self) -> None:
        self.outcomes.flush()
        self.decisions.flush()
        if self.power_safe:
            self.outcomes.sync()

    def _patiently(self, action: Callable[[], None], refusal: StorageUnavailable | None = None) -> None:
        """Do something that the storage may refuse for now, again and again with jitter."""
        until_s = time.monotonic() + self._settings.patience_s
        waited, told = refusal is not None, False
        while True:
            if refusal is None:
                try:
                    action()
                    break
                except StorageUnavailable as error:
                    refusal, waited = error, True
            self.admission.refuse(refusal)
            if not told:
                _log.warning("nothing is accepted until the storage works again: %s", refusal)
                told = True
            if self._closing.is_set() or time.monotonic() >= until_s:
                raise refusal
            self.state.engine.beat()
            self._closing.wait(random.uniform(0.05, 0.25))
            refusal = None
        if waited:
            self.admission.admit()

    def _write_index(self) -> None:
        """Note where a restart begins; everything appended so far must be committed."""
        self.journal.flush()
        self._indexed = self.journal.head[0]
        write_index(self.state.root / INDEX, self._keeper.index(self.journal.head, *self.admission.position()))
        reach(CrashPoint.INDEX_WRITTEN)

    # -- the end -------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Say that the engine ends: no more patience."""
        self._closing.set()

    def finish(self, *, sound: bool) -> None:
        """Close the journal at the end of the loop, with the way back beside it if the loop ended well."""
        if sound:
            self._write_index()
            self.journal.close()
            return
        try:
            self.journal.close()
        except DnamlError as error:  # what ended the loop was told already
            _log.debug("%s", error)

    def close(self) -> None:
        """Close the logs and give the lock back."""
        self._closing.set()
        if self._checker is not None:
            self._checker.join()
        self.admission.close()
        for log in (self.payloads, self.outcomes, self.decisions):
            log.close()
        self.state.unlock()
