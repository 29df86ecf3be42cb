"""What a computation holds of dnaml while it runs: its checkpoints, its stop request, its ids.

A computation that names a parameter `context` gets one. In a plain call it is `Context.plain()`, which restores the
default, saves nothing and never asks to stop, so that the same function runs with and without dnaml.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from dnaml.core.attempt import Checkpoint
from dnaml.core.errors import ComputationStopped, CorruptError, InputError, NotFoundError, StateFolderError

if TYPE_CHECKING:
    from dnaml.execution.checkpoints import CheckpointStore

_log = logging.getLogger(__name__)
_NEVER_S = float("inf")


class StopFlag(Protocol):
    """Is a threading.Event, as far as a context needs one."""

    def is_set(self) -> bool:
        """Say whether the attempt was asked to stop."""
        ...


class Context:
    """Gives a computation its newest checkpoint, takes new ones, and says when to stop.

    >>> import dnaml
    >>> def total(n: int, *, context: dnaml.Context) -> int:
    ...     start, so_far = context.restore(default=(0, 0))
    ...     for i in range(start, n):
    ...         so_far += i
    ...         context.save((i + 1) / n, (i + 1, so_far))
    ...         if context.should_stop():
    ...             break
    ...     return so_far
    >>> total(5, context=dnaml.Context.plain())
    10

    State may be anything: nested dicts, lists and tuples of plain values, numpy arrays, torch tensors, state_dicts;
    objects with state_dict and load_state_dict come back as their state_dict; what remains is pickled.
    """

    def __init__(
        self,
        *,
        store: "CheckpointStore | None" = None,
        job_id: str = "",
        computation_id: str = "",
        attempt_id: str = "",
        epoch: int = 0,
        checkpoint_id: str | None = None,
        checkpoint_every_s: float | None = None,
        part: int = 0,
        parts: int = 1,
        lineage: str = "",
        restored: Callable[[], None] | None = None,
        report: Callable[[Checkpoint, float], None] | None = None,
        trouble: Callable[[str], None] | None = None,
        stop: StopFlag | None = None,
    ) -> None:
        if checkpoint_every_s is not None and not checkpoint_every_s >= 0:
            raise InputError(f"attempt {attempt_id}: checkpoint_every_s must not be negative, got {checkpoint_every_s}")
        if not 0 <= part < parts:
            raise InputError(f"attempt {attempt_id}: part must be in [0, {parts}), got {part}")
        self.job_id = job_id
        self.computation_id = computation_id
        self.attempt_id = attempt_id
        self.epoch = epoch
        self.part = part
        self.parts = parts
        self.progress = 0.0
        self.told_to_stop = False
        """Whether `should_stop` has said yes: what the computation returns is then not its result."""
        self.checkpoint_every_s = checkpoint_every_s
        self.write_s: float | None = None
        """Wall seconds that the newest checkpoint took to write; None before the first."""
        self._lineage = lineage or job_id
        self._store = store
        self._checkpoint_id = checkpoint_id
        self._restored = restored
        self._report = report
        self._trouble = trouble or _log.warning
        self._stop = stop or threading.Event()
        self._superseded = False
        self._answered = False  # whether a checkpoint was written since the stop request
        self._seal_asked = False
        self._writing = threading.Lock()
        self._due_s = _NEVER_S
        self._wait_again()

    @classmethod
    def plain(cls) -> "Context":
        """Return the context of a plain call, in which nothing is kept."""
        return cls()

    @property
    def idempotency_key(self) -> str:
        """Name this piece of work alike in every attempt: give it to effects outside, with `epoch` as the fence."""
        return f"{self.computation_id}/{self.job_id}/{self.part}"

    def restore(self, default: Any = None) -> Any:
        """Return the state of the newest checkpoint that can be read, else `default`; `progress` follows it."""
        for checkpoint_id in self._candidates():
            assert self._store is not None
            try:
                self.progress, state = self._store.load(
                    checkpoint_id, job_id=self.job_id, computation_id=self.computation_id, lineages=True
                )
            except (CorruptError, NotFoundError) as error:
                self._trouble(f"{error}; an older one is tried")
                continue
            self._wait_again()
            if self._restored is not None:
                self._restored()
            return state
        return default

    def save(self, progress: float, state: Any, *, force: bool = False) -> bool:
        """Note progress in [0, 1] and write a checkpoint if one is due; return whether it was written.

        One is due `checkpoint_every_s` after the last, once after a stop request, when the engine asks, and with
        `force`. `state` may be a function without arguments, which is called only then. A full or failing disk is
        reported, and the computation goes on. Costs well under a microsecond when nothing is due.
        """
        if not 0.0 <= progress <= 1.0:
            raise InputError(f"attempt {self.attempt_id}: progress must be in [0, 1], got {progress}")
        self.progress = progress
        if not force and time.monotonic() < self._due_s and (self._answered or not self._stop.is_set()):
            return False
        return self._write(progress, state)

    def seal(self) -> None:
        """Make a checkpoint due at the next `save`, whatever the interval; another thread may call it."""
        self._seal_asked = True
        self._due_s = 0.0

    def should_stop(self) -> bool:
        """Say whether the attempt was asked to end; save with `force=True` what must not be lost, then return."""
        self.told_to_stop = self.told_to_stop or self._superseded or self._stop.is_set()
        return self.told_to_stop

    def _candidates(self) -> list[str]:
        """Return the checkpoint that the engine chose, then the others of this job, newest first."""
        if self._store is None or self._checkpoint_id is None:
            return []
        others = self._store.generations(self._lineage)
        return [self._checkpoint_id, *(other for other in others if other != self._checkpoint_id)]

    def _write(self, progress: float, state: Any) -> bool:
        """Write a checkpoint and tell the engine; one thread at a time, another one's turn comes with its next save."""
        if self._store is None or self._superseded or not self._writing.acquire(blocking=False):
            return False
        try:
            self._answered, self._seal_asked = self._stop.is_set(), False
            sealed = self._store.save(self._owner(), progress, _evaluated(state))
        except StateFolderError as error:
            self._trouble(f"{error}; the computation goes on, the checkpoint before stays the newest")
            return False
        except ComputationStopped as error:
            self._superseded = True
            self._trouble(str(error))
            return False
        finally:
            self._wait_again()
            self._writing.release()
        self.write_s = sealed.write_s
        if self._report is not None:
            self._report(sealed.checkpoint, sealed.write_s)
        return True

    def _owner(self) -> Any:
        from dnaml.execution.checkpoints import Owner

        return Owner(
            job_id=self._lineage, computation_id=self.computation_id, attempt_id=self.attempt_id, epoch=self.epoch
        )

    def _wait_again(self) -> None:
        """Count the interval from now; without a store or an interval nothing is ever due but what is asked for."""
        every_s = self.checkpoint_every_s
        self._due_s = _NEVER_S if self._store is None or every_s is None else time.monotonic() + every_s
        if self._seal_asked:
            self._due_s = 0.0


def _evaluated(state: Any) -> Any:
    """Call a state that is a function; a torch module can be called too, but is a state itself."""
    from dnaml.execution.state_codec import has_state

    return state() if callable(state) and not has_state(state) else state
