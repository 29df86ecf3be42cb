"""What the service adds up as its engine works, by tenant and in bounded memory: trust, spending, demand.

The engine's thread (and the replay before it) tells, requests ask: one lock is held for microseconds by those who tell,
for some milliseconds by those who ask. Decisions are not in the journal: those from before the service's start are read
from their log when somebody first asks.
"""

import threading
from typing import TYPE_CHECKING, TypeVar

from dnaml.answers.demanded import Demanded, DemandNow
from dnaml.answers.judged import attempt_of, judged, judged_attempts
from dnaml.answers.spending import Spending, SpendingNow
from dnaml.answers.trust import Trust, TrustNow
from dnaml.core.plan import Decision
from dnaml.core.protocols import Run
from dnaml.core.resource import Resource

if TYPE_CHECKING:
    from dnaml.history import AttemptView, History, JobView

T = TypeVar("T")

READ_BACK_BYTES = 32 << 20  # of the newest decisions from before the start


class Observed:
    """The sums of every tenant."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trust: dict[str, Trust] = {}
        self._spending: dict[str, Spending] = {}
        self._demanded = Demanded()
        self._waiting: dict[str, float] = {}
        self._reading_back = threading.Lock()
        self._read_back = False
        self._began_at_s = 0.0

    # -- told --------------------------------------------------------------------------------------------------------

    def began(self, at_s: float) -> None:
        """Take in that the replay is over: what happens from now on is told with its decision."""
        self._began_at_s = at_s

    def submitted(self, view: "JobView") -> None:
        """Take in a job."""
        with self._lock:
            self._demanded.submitted(view.job.tenant, view.computation.kernel, view.job.submitted_at_s)
            self._waiting[view.id] = view.job.submitted_at_s

    def decided(self, tenant: str, decision: Decision) -> None:
        """Take in a decision that was just made."""
        with self._lock:
            self._of(self._trust, tenant, Trust).decided(decision.path)

    def started(self, view: "JobView") -> None:
        """Take in that a job waits no more."""
        with self._lock:
            self._waiting.pop(view.id, None)

    def attempt_ended(
        self,
        view: "JobView",
        attempt: "AttemptView",
        resource: Resource | None,
        run: Run | None,
        decision: Decision | None,
    ) -> None:
        """Take in an attempt that ended, its resource and run where they are known, and the decision behind it."""
        usage, tenant = attempt.usage, view.job.tenant
        if usage is None or resource is None:
            return
        at_s = attempt.ended_at_s or attempt.started_at_s
        told = None
        ran_whole = run is not None and not (run.failed or run.censored)
        if ran_whole and decision is not None and decision.attempt_id == attempt.id:
            told = judged(decision, view.computation.kernel, resource.id, usage.runtime_s, at_s)
        with self._lock:
            self._of(self._spending, tenant, Spending).used(at_s, resource, usage.runtime_s)
            self._demanded.worked(tenant, view.computation.kernel, view.job.submitted_at_s, usage.runtime_s)
            if told is not None:
                self._of(self._trust, tenant, Trust).judged(told)

    def ended(self, view: "JobView") -> None:
        """Take in that a job is over."""
        with self._lock:
            self._demanded.ended(view.job.tenant, view.computation.kernel, view.job.submitted_at_s)
            self._waiting.pop(view.id, None)

    # -- asked -------------------------------------------------------------------------------------------------------

    def trust(self, history: "History", tenant: str, at_s: float) -> TrustNow:
        """Return how predictions for a tenant met the clock."""
        self._look_back(history)
        with self._lock:
            return self._of(self._trust, tenant, Trust).now(at_s)

    def spending(self, tenant: str) -> SpendingNow:
        """Return what a tenant's work cost."""
        with self._lock:
            return self._of(self._spending, tenant, Spending).now()

    def demand(self, at_s: float, tenant: str | None) -> DemandNow:
        """Return the demand of a tenant by family, or of all together."""
        with self._lock:
            taken = self._demanded.taken(at_s)
        return taken.now(tenant)

    def waiting(self, at_s: float) -> tuple[int, float]:
        """Return how many jobs wait for their first start, and for how long the first of them has."""
        with self._lock:
            oldest_s = next(iter(self._waiting.values()), at_s)
            return len(self._waiting), max(0.0, at_s - oldest_s)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _look_back(self, history: "History") -> None:
        """Judge the newest decisions from before the service's start, once."""
        with self._reading_back:
            if self._read_back:
                return
            self._read_back = True
            jobs = history.jobs
            for decision in history.decisions(READ_BACK_BYTES):
                view = jobs.get(decision.job_id)
                attempt = None if view is None else attempt_of(decision, view)
                if view is None or attempt is None or (attempt.ended_at_s or self._began_at_s) >= self._began_at_s:
                    continue
                found = list(judged_attempts(history, iter([decision])))
                with self._lock:
                    trust = self._of(self._trust, view.job.tenant, Trust)
                    trust.decided(decision.path)
                    for one in found:
                        trust.judged(one)

    @staticmethod
    def _of(kept: dict[str, T], tenant: str, make: type[T]) -> T:
        found = kept.get(tenant)
        if found is None:
            found = kept[tenant] = make()
        return found
