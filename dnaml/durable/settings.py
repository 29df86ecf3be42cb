"""How hard an engine holds on to what it was given, and how long it waits for storage that refuses."""

from dataclasses import dataclass

from dnaml.datasets.blobs import SEGMENT_BYTES
from dnaml.datasets.database import Durability
from dnaml.datasets.engine_lock import TAKE_OVER_AFTER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """Numbers and choices of an engine's storage; the defaults suit a program on one machine."""

    durability: Durability = Durability.PROCESS
    """what a submission and a committed result survive; POWER flushes the disk before anybody is told"""
    journal_url: str | None = None
    """a database of PostgreSQL for the journal; None stands for $DNAML_JOURNAL, then for a file in the state folder"""
    standby: bool = False
    """wait for the folder instead of raising StateInUseError"""
    take_over_after_s: float = TAKE_OVER_AFTER_S
    """a standby takes over from an engine without a sign of life for so long"""
    patience_s: float = 60.0
    """how long running jobs go on while the storage refuses; then the engine ends"""
    admission_patience_s: float = 2.0
    """how long a submission waits for storage that refuses before it raises StorageUnavailable"""
    index_every_events: int = 20_000
    """how often the way back after a crash is renewed"""
    recent_jobs: int = 4096
    """ended jobs that are replayed at a restart all the same: predictors learn from them again"""
    pack_beyond_events: int = 100_000
    """older events are packed into pages, an eighth as large, once none of them matters to a restart"""
    pack_for_s: float = 0.02
    """how long the loop may pack at each look around, about once a second"""
    segment_bytes: int = SEGMENT_BYTES
    """a file of payloads, results or decisions grows to this size before the next; only full ones are compacted"""
    check_at_once_events: int = 50_000
    """a longer journal is checked in the background, so that the engine is ready sooner"""
