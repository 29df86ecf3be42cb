"""The last checkpoints before an engine ends on purpose: every running attempt that can is asked, and waited for."""

import threading
from collections.abc import Callable, Iterable

from dnaml.core.attempt import Attempt
from dnaml.core.events import AttemptEnded, CheckpointSealed, Command, Event, SealCheckpoint


class LastSeals:
    """Asks from the engine's loop, as events pass; any other thread may ask for it and wait."""

    def __init__(self, do: Callable[[Command], None], running: Callable[[], Iterable[Attempt]]) -> None:
        self._do, self._running = do, running
        self._wanted = threading.Event()
        self._asked = False
        self._waiting: set[str] = set()
        self._done = threading.Event()

    def want(self) -> None:
        """Have them asked for at the next event."""
        self._wanted.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait until each that was asked has sealed or ended; False when time ran out."""
        return self._done.wait(timeout_s)

    def happened(self, event: Event) -> None:
        """Ask if it is wanted, and take note of who has answered."""
        if not self._wanted.is_set():
            return
        if not self._asked:
            self._asked = True
            for attempt in self._running():
                self._waiting.add(attempt.id)
                self._do(SealCheckpoint(attempt_id=attempt.id, epoch=attempt.epoch))
        elif isinstance(event, CheckpointSealed | AttemptEnded):
            self._waiting.discard(event.attempt_id)
        if not self._waiting:
            self._done.set()
