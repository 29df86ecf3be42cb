"""Trying what is not known: some jobs that come alone go where they might do best, as long as that costs little.

Without it the first resource that did well gets every further run of a computation, and what others could do is never
learned. A trial is judged by its hopeful quantile (`objective.py`). What trials lost, beyond what was expected of the
resource that they passed over, stays below a share of all work done.
"""

import zlib

from dnaml.core.attempt import Usage
from dnaml.core.plan import Decision
from dnaml.core.work import Job

_SCALE = 2.0**-32


class Exploration:
    """Keeps how much work was done and what trials lost of it, in seconds of the attempts' own clocks."""

    def __init__(self, share: float, most_lost: float) -> None:
        self._share, self._most_lost = share, most_lost
        self._done_s = self._lost_s = 0.0
        self._passed_s: dict[str, float] = {}  # of each trial that runs

    def wants(self, job: Job) -> bool:
        """Say whether a job is one to try with: no promise binds it, it is drawn, and there is room for loss."""
        free = job.priority <= 0 and job.units == (1, 1) and job.resilience.replicas == 1 and _promises_nothing(job)
        return free and self._drawn(job.id) and self._lost_s <= self._most_lost * self._done_s

    def _drawn(self, job_id: str) -> bool:
        return zlib.crc32(job_id.encode()) * _SCALE < self._share

    def started(self, decision: Decision) -> None:
        """Take in a start: it is a trial if another resource would have been chosen without hope."""
        hope = decision.terms.get("explore")
        if hope is None:
            return
        sober = [score - one for score, one in zip(decision.score, hope, strict=True)]
        best = min(range(len(sober)), key=sober.__getitem__)
        if decision.resource_ids[best] != decision.chosen:
            self._passed_s[decision.attempt_id] = decision.runtime_p50_s[best]

    def ended(self, attempt_id: str, usage: Usage) -> None:
        """Take in an end, whatever it is: what a trial used beyond what it passed over is lost."""
        self._done_s += usage.runtime_s
        passed_s = self._passed_s.pop(attempt_id, None)
        if passed_s is not None:
            self._lost_s += max(0.0, usage.runtime_s - passed_s)


def _promises_nothing(job: Job) -> bool:
    return job.constraints.deadline_s is None and job.constraints.max_cost_usd is None
