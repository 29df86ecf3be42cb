"""Events for streams: numbered, kept for a while, handed from the engine's thread to the streams that wait for them.

A number is the event's time in microseconds, moved up where two share one: it rises for ever and a replay of the
journal gives the same event the same number, so a client may go on after the service restarted.
"""

import asyncio
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

KEPT = 20_000
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Told:
    """One event as streams send it; `tenant` is empty for what concerns all."""

    number: int
    tenant: str
    job_id: str
    kind: str
    data: bytes


class Hub:
    """Takes events in from the engine's thread, gives them out in the event loop's."""

    def __init__(self) -> None:
        self._recent: deque[Told] = deque(maxlen=KEPT)
        self._number = 0
        self._streams: set[Callable[[], None]] = set()
        self.closed = False
        self._numbering = threading.Lock()

    def tell(self, kind: str, at_s: float, *, tenant: str = "", job_id: str = "", **more: object) -> Told:
        """Number an event, keep it and wake the streams."""
        with self._numbering:
            return self._tell(kind, at_s, tenant, job_id, more)

    def _tell(self, kind: str, at_s: float, tenant: str, job_id: str, more: Mapping[str, object]) -> Told:
        self._number = number = max(self._number + 1, int(at_s * 1e6))
        values: Mapping[str, object] = {"id": number, "kind": kind, "at_s": at_s, "job_id": job_id, **more}
        told = Told(number, tenant, job_id, kind, _encode({k: v for k, v in values.items() if v not in (None, "")}))
        self._recent.append(told)
        for wake in tuple(self._streams):
            wake()
        return told

    def since(self, number: int) -> Iterator[Told]:
        """Return what came after a number, as far as it is kept."""
        recent = list(self._recent)
        return iter(recent[bisect_right(recent, number, key=lambda told: told.number) :])

    @property
    def first(self) -> int:
        """Return the oldest number that is kept, 0 when nothing was forgotten yet."""
        return self._recent[0].number if len(self._recent) == KEPT else 0

    @property
    def last(self) -> int:
        """Return the newest number."""
        return self._number

    def subscribe(self) -> "Subscription":
        """Return the means to wait for events; call it in the event loop."""
        return Subscription(self, asyncio.get_running_loop())

    def close(self) -> None:
        """Wake every stream for the last time."""
        self.closed = True
        for wake in tuple(self._streams):
            wake()

    def _add(self, wake: Callable[[], None]) -> None:
        self._streams.add(wake)

    def _remove(self, wake: Callable[[], None]) -> None:
        self._streams.discard(wake)


class Subscription:
    """Waits for anything new; however much comes meanwhile, the event loop is woken once."""

    def __init__(self, hub: Hub, loop: asyncio.AbstractEventLoop) -> None:
        self._hub, self._loop = hub, loop
        self._news = asyncio.Event()
        self._asked = False
        hub._add(self._wake)

    async def wait(self, timeout_s: float) -> bool:
        """Wait for news; False when there were none in time."""
        try:
            await asyncio.wait_for(self._news.wait(), timeout_s)
        except TimeoutError:
            return False
        self._news.clear()
        return True

    def end(self) -> None:
        """Stop being woken."""
        self._hub._remove(self._wake)

    def _wake(self) -> None:
        """Wake the loop, from any thread."""
        if not self._asked:
            self._asked = True
            try:
                self._loop.call_soon_threadsafe(self._set)
            except RuntimeError:  # the loop has ended, and with it whoever waited
                self._hub._remove(self._wake)

    def _set(self) -> None:
        self._asked = False
        self._news.set()
