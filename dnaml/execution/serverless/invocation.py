"""One attempt as a call of a function: what goes in, what comes out, and how a caller is asked to make it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from dnaml.core.attempt import Cause
from dnaml.execution.messages import Metered


class Verdict(Enum):
    """Is how a call ended."""

    DONE = "done"  # a result
    FAILED = "failed"  # the work's own error
    LOST = "lost"  # the function could not be reached, or refused


@dataclass(slots=True)
class Invocation:
    """An attempt under way; `stopped` is set when nobody waits for it any more, then `abort` cuts its connection.

    `idle_s` is how long the instance that should serve it had idled, None where none was free.
    """

    attempt_id: str
    epoch: int
    job_id: str
    computation_id: str
    resource_id: str
    payload: bytes
    deadline_s: float | None = None
    idle_s: float | None = None
    stopped: threading.Event = field(default_factory=threading.Event)
    abort: Callable[[], None] = lambda: None
    part: int = 0
    parts: int = 1
    start: float = 0.0
    share: float = 1.0

    def cut(self) -> None:
        """Stop waiting for an answer; one that comes anyway is refused."""
        self.stopped.set()
        self.abort()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of an invocation: an encoded Outcome that the engine stores unread, or why there is none.

    `metered.extra` says how often it was called, how long it queued, and whether it started cold.
    """

    verdict: Verdict
    metered: Metered
    outcome: bytes = b""
    digest: str = ""
    error: str | None = None
    cause: Cause | None = None


class Caller(Protocol):
    """Calls one function; blocks, from a thread of its own for each invocation."""

    idle_s: float
    most_runtime_s: float | None

    def refusal(self, invocation: Invocation) -> str:
        """Return why this function cannot take the invocation, known before the call; "" when it can."""
        ...

    def invoke(self, invocation: Invocation) -> Answer:
        """Call until there is an answer or the retries are used up."""
        ...

    def close(self) -> None:
        """Give back what is held for calling."""
        ...


def nothing_metered(wall_s: float = 0.0, **extra: float) -> Metered:
    """Return the metering of an invocation of which only the caller knows anything."""
    return Metered(wall_s, 0.0, wall_s, 0, dict(extra))
