"""Ends jobs that still wait when their deadline passes: nothing that starts from then on could keep it."""

import heapq

from dnaml.core.attempt import JobState
from dnaml.schedule.dispatch import Dispatch
from dnaml.schedule.ledger import Entry
from dnaml.schedule.time_limits import deadline_s, is_past_deadline

_LOOK_AGAIN_S = 1.0  # while an attempt still runs: it is under its own limit, and may come back to the line


class Deadlines:
    """Keeps the deadlines of open jobs, earliest first. Ends follow from ticks alone, so that a replay ends alike."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._heap: list[tuple[float, str]] = []

    def add(self, entry: Entry) -> None:
        """Watch the deadline of a job, if it has one."""
        at_s = deadline_s(entry)
        if at_s is not None:
            self._watch(at_s, entry.job.id)

    def resumed(self) -> None:
        """Ask for the tick that the engine before had asked for."""
        if self._heap:
            self._dispatch.wake_at(self._heap[0][0])

    def tick(self, at_s: float) -> None:
        """End the jobs that wait and are too late."""
        while self._heap and self._heap[0][0] <= at_s:
            entry = self._dispatch.ledger.open.get(heapq.heappop(self._heap)[1])
            if entry is None:
                continue
            if entry.live or not is_past_deadline(entry, at_s):
                self._watch(at_s + _LOOK_AGAIN_S, entry.job.id)
                continue
            limit_s = entry.job.constraints.deadline_s
            error = f"its deadline, {limit_s:g} s after it was submitted, passed before it could start"
            self._dispatch.end_job(entry, JobState.FAILED, None, f"{error}; {entry.told}" if entry.told else error)

    def _watch(self, at_s: float, job_id: str) -> None:
        heapq.heappush(self._heap, (at_s, job_id))
        if not self._dispatch.recovering:
            self._dispatch.wake_at(at_s)
