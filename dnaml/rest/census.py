"""Counts over all jobs of one tenant for the dashboard, taken again only when something happened, at most each second.

One pass over 100,000 jobs takes some tens of milliseconds of a thread; all who look at the same tenant share it.
"""

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from dnaml.core.attempt import AttemptState, JobState
from dnaml.dashboard.reads import QueueQuery
from dnaml.rest.live import Live

MOST_PLACED = 1_000
_LEAST_S, _PAUSE = 1.0, 20.0  # a pass is at least a second, and twenty times as long as it took, after the last


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What one pass found; `placed` are the jobs with attempts, newest first, `running` attempts by resource."""

    counts: Mapping[JobState, int] = field(default_factory=dict)
    running: Mapping[str, int] = field(default_factory=dict)
    placed: Sequence[str] = ()
    attempts: int = 0


class Census:
    """The counts of one tenant."""

    def __init__(self, live: Live, tenant: str) -> None:
        self._live, self._tenant = live, tenant
        self._lock = threading.Lock()
        self._found = Counted()
        self._seen = -1
        self._next_s = 0.0

    def now(self) -> Counted:
        """Return counts that are about a second old at most."""
        with self._lock:
            last, now_s = self._live.hub.last, time.monotonic()
            if last != self._seen and now_s >= self._next_s:
                self._found, self._seen = self._count(), last
                took_s = time.monotonic() - now_s
                self._next_s = now_s + max(_LEAST_S, _PAUSE * took_s)
            return self._found

    def matching(self, query: QueueQuery) -> tuple[list[str], int]:
        """Return the ids of a page of jobs that match, newest first, and how many match in all."""
        jobs, ids = self._live.history.jobs, self._live.jobs_of(self._tenant).ids
        newest = reversed(ids[:])
        if query.state is None and not query.words:
            return list(islice(newest, query.first, query.first + query.limit)), len(ids)
        words, found, matching = query.words.casefold(), [], 0
        for job_id in newest:
            view = jobs[job_id]
            if query.state is not None and view.state is not query.state:
                continue
            if words and words not in f"{view.job.name or view.computation.kernel} {job_id}".casefold():
                continue
            if query.first <= matching < query.first + query.limit:
                found.append(job_id)
            matching += 1
        return found, matching

    def _count(self) -> Counted:
        jobs = self._live.history.jobs
        counts: Counter[JobState] = Counter()
        running: Counter[str] = Counter()
        placed: list[tuple[float, str]] = []
        total = 0
        for job_id in self._live.jobs_of(self._tenant).ids[:]:
            view = jobs[job_id]
            counts[view.state] += 1
            attempts = view.attempts
            if attempts:
                total += len(attempts)
                placed.append((attempts[-1].started_at_s, job_id))
                if view.state is JobState.RUNNING:
                    running.update(
                        one.placement.resource_id for one in tuple(attempts) if one.state is AttemptState.RUNNING
                    )
        placed.sort(reverse=True)
        newest = [job_id for _, job_id in placed[:MOST_PLACED]]
        return Counted(counts=dict(counts), running=dict(running), placed=newest, attempts=total)
