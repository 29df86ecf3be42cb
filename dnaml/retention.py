"""Lets go of what old jobs brought and left: payloads, results and decisions of jobs that ended long enough ago.

A job stays in the journal for ever; only its bytes in the blob logs go. What belongs to an open job, to one that ended
lately, or to none that the journal knows of is never touched. Every step may be the last: the next run goes on.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dnaml.core.attempt import Stored
from dnaml.core.errors import InputError, StateFolderError, StateInUseError
from dnaml.datasets.blobs import BlobLog
from dnaml.datasets.freed import free, full_segments, note_freed
from dnaml.datasets.state import StateFolder
from dnaml.execution import messages
from dnaml.execution.crashpoints import CrashPoint, reach
from dnaml.history import History

_Chooser = Callable[[Stored, bytes], bool]


class _JobId(msgspec.Struct):
    id: str


class _Submitted(msgspec.Struct):
    job: _JobId


class _Decided(msgspec.Struct):
    job_id: str


_submitted = msgspec.json.Decoder(_Submitted).decode
_decided = msgspec.json.Decoder(_Decided).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """What a compaction let go of; `jobs` are all that ended before `before_s`, also those let go of earlier."""

    before_s: float
    jobs: int
    frames: int = 0
    freed_bytes: int = 0


def compact(folder: Path, *, keep_s: float) -> Compacted:
    """Free what jobs left that ended more than `keep_s` before the newest end of a job; an engine may work meanwhile.

    Segments to which is still appended are left alone. Raises InputError for a negative time, StateInUseError while
    another compaction works on the folder, StateFolderError when the disk refuses.
    """
    if not keep_s >= 0:
        raise InputError(f"keep_s: must not be negative, got {keep_s}")
    state = StateFolder(folder)
    with _alone(state):
        # Before the journal is read: what is full now holds nothing that a later journal would name for the first time.
        logs = {name: BlobLog(state.blobs, name) for name in ("payloads", "decisions", "outcomes")}
        full = {name: full_segments(log) for name, log in logs.items()}
        history = History.read(folder)
        before_s = max((view.ended_at_s for view in history.jobs.values() if view.ended_at_s), default=0.0) - keep_s
        over = {view.id for view in history.jobs.values() if view.ended_at_s and view.ended_at_s <= before_s}
        note_freed(state.blobs, before_s)
        reach(CrashPoint.RETENTION_NOTED)
        chosen = _choosers(history, over, before_s)
        frames = freed_bytes = 0
        for name, log in logs.items():  # payloads first: a result is never sought where its payload is gone
            for segment in full[name]:
                found = [place for place, body in log.frames_of(segment) if chosen[name](place, body)]
                if found:
                    freed_bytes += free(log, segment, found, written=lambda: reach(CrashPoint.SEGMENT_WRITTEN))
                    frames += len(found)
                    reach(CrashPoint.SEGMENT_REPLACED)
        return Compacted(before_s=before_s, jobs=len(over), frames=frames, freed_bytes=freed_bytes)


def _choosers(history: History, over: set[str], before_s: float) -> dict[str, _Chooser]:
    """Return, for each log, what says whether a frame may go."""
    results = {
        (attempt.result.segment, attempt.result.offset)
        for job_id in over
        for attempt in history.jobs[job_id].attempts
        if attempt.result is not None and attempt.ended_at_s is not None and attempt.ended_at_s <= before_s
    }
    return {
        "payloads": lambda _, body: _submitted(messages.decode_payload(body).submitted).job.id in over,
        "decisions": lambda _, body: _decided(body).job_id in over,
        "outcomes": lambda place, _: (place.segment, place.offset) in results,
    }


@contextmanager
def _alone(state: StateFolder) -> Iterator[None]:
    """Keep other compactions out."""
    if not state.blobs.is_dir():
        raise StateFolderError(f"{state.root}: holds no state of an engine")
    fd = os.open(state.blobs / "compaction.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateInUseError(f"state folder {state.root} is being compacted by another process") from None
        yield
    finally:
        os.close(fd)
