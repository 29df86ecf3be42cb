"""Which events a restart has to replay: those of jobs that have not ended, of the last that have, and of resources.

The journal keeps every event; this index beside it names the few that still matter up to some event, so that a
restart takes time by what is open, not by what ever was. It holds no state of its own: without it, or where anything
about it is doubtful, the whole journal is replayed, with the same result.
"""

import hashlib
import logging
import os
from array import array
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from dnaml.core import events as ev
from dnaml.core.attempt import Stored
from dnaml.core.errors import CorruptError
from dnaml.core.events import Event

VERSION = 1
_MAGIC = b"dnaml-replay-index\n"
_log = logging.getLogger(__name__)


class ReplayIndex(msgspec.Struct, frozen=True, kw_only=True):
    """Events to replay up to and with event `seq`, whose checksum chain is `chain`.

    `payloads` says where what open jobs brought lies (segment, byte, size). All payloads before `watermark` belong to
    journaled jobs; of those behind it, `beyond` do.
    """

    version: int
    seq: int
    chain: int
    seqs: bytes
    payloads: dict[str, tuple[int, int, int]]
    watermark: tuple[int, int]
    beyond: list[str]

    def numbers(self) -> "array[int]":
        """Return the numbers of the events, ascending."""
        numbers = array("q")
        numbers.frombytes(self.seqs)
        return numbers

    def stored(self) -> dict[str, Stored]:
        """Return where the payloads of open jobs lie."""
        return {
            job_id: Stored(segment=segment, offset=offset, size_bytes=size, digest="-")
            for job_id, (segment, offset, size) in self.payloads.items()
        }


_decode = msgspec.msgpack.Decoder(ReplayIndex).decode


def write_index(path: Path, index: ReplayIndex) -> None:
    """Put the index in place at once; it is not flushed, for one that is lost costs a longer replay only."""
    body = msgspec.msgpack.encode(index)
    fresh = path.with_suffix(".new")
    try:
        fresh.write_bytes(_MAGIC + hashlib.sha256(body).digest() + body)
        os.replace(fresh, path)
    except OSError as error:
        _log.warning("%s cannot be written, a restart will take longer: %s", path, error)


def read_index(path: Path) -> ReplayIndex | None:
    """Return the index; None where there is none, or none that is whole and of this version."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    start = len(_MAGIC) + hashlib.sha256().digest_size
    body = data[start:]
    if data[:start] != _MAGIC + hashlib.sha256(body).digest():
        _log.warning("%s is damaged: the whole journal is replayed", path)
        return None
    try:
        index = _decode(body)
    except msgspec.DecodeError:
        index = None
    if index is None or index.version != VERSION:
        _log.warning("%s is of another version: the whole journal is replayed", path)
        return None
    return index


class Keeper:
    """Notes, event by event, which ones a restart needs. One that ended stays for as long as it is among the last."""

    def __init__(self, recent_jobs: int) -> None:
        self._most_recent = recent_jobs
        self._open: dict[str, list[int]] = {}
        self._recent: OrderedDict[str, list[int]] = OrderedDict()
        self._job_of: dict[str, str] = {}  # live attempt -> job
        self._progress: dict[str, int] = {}  # live attempt -> its last word on progress
        self._latest: dict[tuple[str, str], int] = {}  # what only its newest event matters for
        self._engines: list[int] = []
        # Any: each takes its own kind of event.
        self._notes: dict[type[Event], Callable[[int, Any], None]] = {
            ev.Submitted: self._on_submitted,
            ev.AttemptStarted: self._on_started,
            ev.AttemptEnded: self._on_ended,
            ev.CheckpointSealed: self._on_attempt,
            ev.AttemptProgressed: self._on_progress,
            ev.CancelRequested: self._on_job,
            ev.MigrateRequested: self._on_job,
            ev.Resumed: lambda seq, _: self._engines.append(seq),
            ev.ResourceUp: self._on_up,
            ev.ResourceDown: self._on_resource,
            ev.ResourceRefreshed: self._on_refreshed,
            ev.InterruptionNotice: self._on_resource,
            ev.Configured: self._on_global,
            ev.ModelChanged: self._on_global,
        }

    def note(self, seq: int, event: Event) -> None:
        """Take an event that is in the journal under a number."""
        note = self._notes.get(type(event))
        if note is not None:
            note(seq, event)

    def ended(self, job_id: str) -> None:
        """Take the end of a job: soon its events matter no more."""
        seqs = self._open.pop(job_id, None)
        if seqs is None:
            return
        self._recent[job_id] = seqs
        if len(self._recent) > self._most_recent:
            self._recent.popitem(last=False)

    def index(
        self,
        head: tuple[int, int],
        payloads: Mapping[str, Stored],
        watermark: tuple[int, int],
        beyond: list[str],
    ) -> ReplayIndex:
        """Return what a restart has to replay up to the event `head` (number, chain)."""
        numbers = [seq for group in (self._open, self._recent) for seqs in group.values() for seq in seqs]
        numbers += [*self._progress.values(), *self._latest.values(), *self._engines]
        where = {
            job_id: (stored.segment, stored.offset, stored.size_bytes)
            for job_id in self._open
            if (stored := payloads.get(job_id)) is not None
        }
        return ReplayIndex(
            version=VERSION,
            seq=head[0],
            chain=head[1],
            seqs=array("q", sorted(set(numbers))).tobytes(),
            payloads=where,
            watermark=watermark,
            beyond=beyond,
        )

    def __len__(self) -> int:
        """Return how many open jobs it knows."""
        return len(self._open)

    # -- one kind of event each ------------------------------------------------------------------------------------

    def _add(self, job_id: str, seq: int) -> None:
        seqs = self._open.get(job_id) or self._recent.get(job_id)
        if seqs is not None:
            seqs.append(seq)

    def _on_submitted(self, seq: int, event: ev.Submitted) -> None:
        if event.job.id not in self._open and event.job.id not in self._recent:
            self._open[event.job.id] = [seq]

    def _on_started(self, seq: int, event: ev.AttemptStarted) -> None:
        if event.job_id in self._recent:
            self._open[event.job_id] = self._recent.pop(event.job_id)  # its end was not the end
        self._job_of[event.attempt_id] = event.job_id
        self._add(event.job_id, seq)

    def _on_ended(self, seq: int, event: ev.AttemptEnded) -> None:
        self._progress.pop(event.attempt_id, None)
        job_id = self._job_of.pop(event.attempt_id, None) or event.attempt_id.rpartition(".")[0]
        self._add(job_id, seq)

    def _on_attempt(self, seq: int, event: ev.CheckpointSealed) -> None:
        self._add(self._job_of.get(event.attempt_id, ""), seq)

    def _on_progress(self, seq: int, event: ev.AttemptProgressed) -> None:
        if event.attempt_id in self._job_of:
            self._progress[event.attempt_id] = seq

    def _on_job(self, seq: int, event: ev.CancelRequested | ev.MigrateRequested) -> None:
        self._add(event.job_id, seq)

    def _on_up(self, seq: int, event: ev.ResourceUp) -> None:
        self._latest["up", event.resource.id] = seq

    def _on_refreshed(self, seq: int, event: ev.ResourceRefreshed) -> None:
        self._latest["state", event.state.resource_id] = seq

    def _on_resource(self, seq: int, event: ev.ResourceDown | ev.InterruptionNotice) -> None:
        self._latest[type(event).__name__, event.resource_id] = seq

    def _on_global(self, seq: int, event: ev.Configured | ev.ModelChanged) -> None:
        self._latest[type(event).__name__, ""] = seq


def check_matches(index: ReplayIndex, chain: int | None, payload_end: tuple[int, int]) -> bool:
    """Say whether an index belongs to a journal and its payloads; raise CorruptError where payloads were cut."""
    if chain != index.chain:
        _log.warning("the replay index does not belong to this journal: the whole journal is replayed")
        return False
    if payload_end < index.watermark:
        raise CorruptError(
            f"payloads end at {payload_end} (segment, byte), but {index.watermark} was reached: they were cut"
        )
    return True
