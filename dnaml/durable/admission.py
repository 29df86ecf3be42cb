"""Takes jobs in so that they cannot be lost: their payload is stored before anybody is told, on the disk if asked for.

A job accepted under an idempotency key is accepted once: the same request under the same key finds the same job, also
after a restart.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from dnaml.core.attempt import Stored
from dnaml.core.errors import RepeatedKeyError, StorageUnavailable
from dnaml.core.events import Submitted
from dnaml.core.work import Computation, Job
from dnaml.datasets.blobs import BlobLog
from dnaml.datasets.journal import Key, SqlJournal, decode_event, encode_event
from dnaml.execution import messages
from dnaml.execution.crashpoints import CrashPoint, reach

_SMALL_BYTES, _MOST_RECENT = 1 << 14, 4096  # payloads kept in memory until their first start
Accepted = tuple[Job, Computation, messages.Payload]


class Admission:
    """The way in. Every method may be called from any thread; `check` raises when another engine took over."""

    def __init__(
        self, payloads: BlobLog, journal: SqlJournal, read_journal: Callable[[], SqlJournal], check: Callable[[], None],
        *, durable: bool, patience_s: float,
    ) -> None:  # fmt: skip
        self._payloads, self._journal, self._check = payloads, journal, check
        self._read_journal = read_journal
        self._reader: SqlJournal | None = None
        self._durable, self._patience_s = durable, patience_s
        self._lock = threading.Lock()
        self._once = threading.Lock()
        self._where: dict[str, Stored] = {}
        self._recent: dict[str, bytes] = {}
        self._line: deque[tuple[str, Stored]] = deque()  # in the order of the log, from the first not journaled on
        self._unjournaled: set[str] = set()
        self._keys: dict[str, Key] = {}  # used, and not yet committed with the journal
        self._claimed: list[str] = []
        self._open = threading.Event()
        self._open.set()
        self._refusal: StorageUnavailable | None = None

    # -- in --------------------------------------------------------------------------------------------------------

    def accept(self, accepted: Sequence[Accepted], *, durable: bool | None = None) -> list[Submitted]:
        """Store jobs and return their events, to be posted: they survive SIGKILL now, and power loss if `durable`.

        Raises StorageUnavailable while the storage refuses, StateFolderError when it failed (whether these jobs
        survived is not known then), FencedError when another engine took over.
        """
        self._wait_until_open()
        events = self._store(accepted)
        self._confirm([event.job.id for event in events], durable)
        return events

    def accept_once(
        self, job: Job, computation: Computation, payload: messages.Payload, *, durable: bool | None = None
    ) -> tuple[str, list[Submitted]]:
        """Accept a job unless its idempotency key was used; return the id of the job behind the key, and its event.

        `payload.request_digest` stands for the request. Raises RepeatedKeyError when the key came with another one.
        """
        self._wait_until_open()
        name = scoped(job)
        events: list[Submitted] = []
        with self._once:
            known = self.find(name) if name is not None else None
            if known is None:
                events = self._store([(job, computation, payload)])
                known = (job.id, payload.request_digest)
                if name is not None:
                    self._keys[name] = known
        if known[1] != payload.request_digest:
            raise RepeatedKeyError(
                f"idempotency key {job.idempotency_key!r} was used by job {known[0]} with another request"
            )
        self._confirm([event.job.id for event in events], durable)
        return known[0], events

    def _store(self, accepted: Sequence[Accepted]) -> list[Submitted]:
        events, bodies = [], []
        for job, computation, payload in accepted:
            event = Submitted(at_s=job.submitted_at_s, job=job, computation=computation)
            payload.submitted = encode_event(event)
            bodies.append(messages.encode(payload))
            events.append(event)
        with self._lock:
            places = self._payloads.append_all(bodies, digest="-")
            reach(CrashPoint.PAYLOAD_STORED)
            for event, stored, body in zip(events, places, bodies, strict=True):
                self._enter(event.job.id, stored, body)
        return events

    def _confirm(self, job_ids: Sequence[str], durable: bool | None) -> None:
        """Return once what was stored may be told; forget these jobs when it may not."""
        try:
            if self._durable if durable is None else durable:
                self._payloads.sync()
            self._check()
        except BaseException:
            for job_id in job_ids:
                self.forget(job_id)
            raise

    def accepted_before(self, tenant: str, key: str) -> Key | None:
        """Return (job id, digest of the request) of a tenant's idempotency key that was used, or None."""
        with self._once:
            return self.find(f"{tenant}\0{key}")

    def find(self, name: str) -> Key | None:
        """Return (job id, digest of the request) of a key as `scoped` names it, or None."""
        known = self._keys.get(name)
        if known is None:
            if self._reader is None:
                self._reader = self._read_journal()
            known = self._reader.key(name)
        return known

    # -- what the loop tells ---------------------------------------------------------------------------------------

    def journaled(self, event: Submitted) -> None:
        """Take note that a job is about to be in the journal; its key goes with it."""
        with self._lock:
            self._unjournaled.discard(event.job.id)
            while self._line and self._line[0][0] not in self._unjournaled:
                self._line.popleft()
        name = scoped(event.job)
        if name is not None:
            self._journal.claim(name, *self._keys.get(name, (event.job.id, "")))
            self._claimed.append(name)

    def committed(self) -> None:
        """Take note that the journal holds the keys of the jobs it was told of."""
        for name in self._claimed:
            self._keys.pop(name, None)
        self._claimed.clear()

    def refuse(self, error: StorageUnavailable) -> None:
        """Admit nobody until `admit`: the storage refuses."""
        self._refusal = error
        self._open.clear()

    def admit(self) -> None:
        """Admit again."""
        self._open.set()

    def payload(self, job_id: str) -> bytes:
        """Return the stored payload of a job; KeyError when there is none."""
        return self._recent.pop(job_id, None) or self._payloads.read(self._where[job_id])

    def forget(self, job_id: str) -> None:
        """Forget where the payload of a job lies: it is over."""
        self._where.pop(job_id, None)
        self._recent.pop(job_id, None)
        self._unjournaled.discard(job_id)

    # -- a restart -------------------------------------------------------------------------------------------------

    def position(self) -> tuple[dict[str, Stored], tuple[int, int], list[str]]:
        """Return where payloads lie, up to where all are journaled, and which of those behind it are."""
        with self._lock:
            if not self._line:
                return self._where, self._payloads.end, []
            first = self._line[0][1]
            beyond = [job_id for job_id, _ in self._line if job_id not in self._unjournaled]
            return self._where, (first.segment, first.offset), beyond

    def take_in(
        self,
        known: dict[str, Stored],
        after: tuple[int, int],
        journaled: Collection[str],
        is_open: Callable[[str], bool],
        at_s: float,
    ) -> Iterable[Submitted]:
        """Find the payloads again, and yield the jobs that were accepted but never came into the journal."""
        self._where.update(known)
        for stored, body in self._payloads.frames(after):
            payload = messages.decode_payload(body)
            event = decode_event("Submitted", payload.submitted)
            if not isinstance(event, Submitted):
                continue
            if event.job.id not in journaled:
                name = scoped(event.job)
                if name is not None:
                    self._keys[name] = (event.job.id, payload.request_digest)
                self._enter(event.job.id, stored, body)
                yield replace(event, at_s=at_s)
                continue
            if self._line:
                self._line.append((event.job.id, stored))  # behind one that is not in the journal
            if is_open(event.job.id):
                self._where[event.job.id] = stored

    def close(self) -> None:
        """Let go of the database; the log belongs to others."""
        if self._reader is not None:
            self._reader.abandon()
            self._reader = None

    def _enter(self, job_id: str, stored: Stored, body: bytes) -> None:
        self._where[job_id] = stored
        self._line.append((job_id, stored))
        self._unjournaled.add(job_id)
        if len(body) <= _SMALL_BYTES and len(self._recent) < _MOST_RECENT:
            self._recent[job_id] = body

    def _wait_until_open(self) -> None:
        if self._open.is_set():
            return
        began_s = time.monotonic()
        if not self._open.wait(self._patience_s):
            waited_s = time.monotonic() - began_s
            raise StorageUnavailable(f"nothing is accepted now (waited {waited_s:.1f} s): {self._refusal}")


def scoped(job: Job) -> str | None:
    """Return a job's idempotency key as no other tenant can use it; None for a job without one."""
    return None if job.idempotency_key is None else f"{job.tenant}\0{job.idempotency_key}"
