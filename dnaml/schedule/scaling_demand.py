"""What scaling knows of the world: seconds of work that arrive in each bin, and how long an ordered machine takes."""

import math
from collections import deque
from collections.abc import Callable

import numpy as np

from dnaml.core.attempt import AttemptState
from dnaml.core.events import AttemptEnded, AttemptStarted, Event, Submitted
from dnaml.core.work import Computation

_MEMORY = 0.2
"""how much the newest run of a kernel counts in its usual time"""


class Demand:
    """Counts the seconds of work submitted in each bin; how long a kernel takes is learned from its ends.

    `seconds_of` answers for a computation before any of its kernel ended: a predictor's median, or a guess.
    """

    def __init__(self, bin_s: float, seconds_of: Callable[[Computation], float]) -> None:
        self._bin_s = bin_s
        self._seconds_of = seconds_of
        self._end_s: float | None = None
        self._work_s = 0.0
        self._kernels: dict[str, str] = {}
        self._running: dict[str, str] = {}
        self._usual_s: dict[str, float] = {}
        self.usual_s = 0.0
        """seconds of work of a submission, newer ones counting more; 0 before the first"""

    @property
    def closed_s(self) -> float | None:
        """Return when the newest bin ended; None before the first look at the time."""
        return None if self._end_s is None else self._end_s - self._bin_s

    def go_on(self, closed_s: float) -> None:
        """Go on where earlier bins ended, before the first event."""
        self._end_s = closed_s + self._bin_s

    def observe(self, event: Event) -> list[float]:
        """Take in an event; return the work of each bin that ended before it, oldest first."""
        ended = self.until(event.at_s)
        if isinstance(event, Submitted):
            kernel = event.computation.kernel
            self._kernels[event.job.id] = kernel
            usual = self._usual_s.get(kernel)
            work_s = self._seconds_of(event.computation) if usual is None else usual
            self._work_s += work_s
            self.usual_s += (_MEMORY if self.usual_s else 1.0) * (work_s - self.usual_s)
        elif isinstance(event, AttemptStarted):
            self._running[event.attempt_id] = event.job_id
        elif isinstance(event, AttemptEnded):
            self._learn(event)
        return ended

    def until(self, at_s: float) -> list[float]:
        """Return the seconds of work in each bin that ended by a time and was not returned before, oldest first."""
        if self._end_s is None:
            self._end_s = at_s + self._bin_s
        ended = []
        while self._end_s <= at_s:
            ended.append(self._work_s)
            self._work_s = 0.0
            self._end_s += self._bin_s
        return ended

    def _learn(self, event: AttemptEnded) -> None:
        job_id = self._running.pop(event.attempt_id, None)
        if job_id is None or event.outcome is AttemptState.LOST:
            return
        kernel = self._kernels.pop(job_id, None)
        if kernel is not None and event.outcome is AttemptState.DONE:
            before = self._usual_s.get(kernel, event.usage.runtime_s)
            self._usual_s[kernel] = before + _MEMORY * (event.usage.runtime_s - before)


class LeadTime:
    """Learns how long it takes from ordering a machine until it works; the first guess counts as a few orders."""

    def __init__(self, first_s: float, *, counts: int = 4, memory: int = 64) -> None:
        self._seen: deque[float] = deque([first_s] * counts, maxlen=memory)
        self._guesses = counts

    def observe(self, seconds: float) -> None:
        """Take in one machine that came after so long."""
        if math.isfinite(seconds) and seconds >= 0:
            if len(self._seen) == self._seen.maxlen:
                self._guesses = max(0, self._guesses - 1)
            self._seen.append(seconds)

    @property
    def seen_s(self) -> tuple[float, ...]:
        """Return how long the machines took that came, oldest first, without the first guess."""
        return tuple(self._seen)[self._guesses :]

    @property
    def p95_s(self) -> float:
        """Return the time by which 95 of 100 machines came."""
        return float(np.quantile(np.array(self._seen), 0.95))

    def bins(self, bin_s: float) -> int:
        """Return how many bins ahead demand must be known, so that a machine ordered now works when it comes."""
        return max(1, math.ceil(self.p95_s / bin_s) + 1)
