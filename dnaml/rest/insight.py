"""What the pages about learning read: trust, drift, spending, demand, the map of DNA, the registry of models.

What takes longer than some milliseconds is worked out when it is asked for and kept until there is news.
"""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from dnaml.answers.demanded import OTHERS, largest
from dnaml.answers.dna_plane import DnaPlane, dna_plane
from dnaml.answers.scaling_advice import Expected, Pool, advised, ahead_of, expected
from dnaml.answers.spending import SpendingNow
from dnaml.answers.trust import TrustNow
from dnaml.dashboard.insight_reads import DemandShown, DriftNow, RegistryNow, WatchedNow
from dnaml.predict.drift import BOUND, Subject, Watched
from dnaml.predict.guarded import Guarded, Health
from dnaml.rest.service import Service

T = TypeVar("T")
MOST_FORECAST = 4  # families that get a forecast of their own
MOST_WATCHED = 500
LEAST_S = 5.0  # between two maps, however much happens
SUMS_S = 1.0  # between two looks at the sums of one tenant, however many look
_RECENT = 5_000  # computations looked through


class Kept(Generic[T]):
    """Keeps one value until its key changes, and for `least_s` at the least."""

    def __init__(self, least_s: float = 0.0) -> None:
        self._lock = threading.Lock()
        self._least_s = least_s
        self._key: object = None
        self._value: T | None = None
        self._until_s = 0.0

    def get(self, key: object, make: Callable[[], T]) -> T:
        """Return the value of a key, made again where it is not the one that is kept."""
        with self._lock:
            now_s = time.monotonic()
            if self._value is None or (key != self._key and now_s >= self._until_s):
                self._value, self._key = make(), key
                self._until_s = time.monotonic() + self._least_s
            return self._value


class Insight:
    """Answers for one tenant; every method may be called from several threads and may take a second."""

    def __init__(self, service: Service, tenant: str) -> None:
        self._service, self._tenant = service, tenant
        self._plane: Kept[DnaPlane] = Kept(LEAST_S)
        self._expected: Kept[dict[str, Expected]] = Kept()
        self._registry: Kept[RegistryNow] = Kept()
        self._trust: Kept[TrustNow] = Kept(SUMS_S)
        self._spending: Kept[SpendingNow] = Kept(SUMS_S)

    # -- calibration and drift ---------------------------------------------------------------------------------------

    def trust(self) -> TrustNow:
        """Return how predictions met the clock."""
        live, now_s = self._service.live, self._service.engine.now_s()
        return self._trust.get(live.hub.last, lambda: live.observed.trust(live.history, self._tenant, now_s))

    def drift(self) -> DriftNow:
        """Return what is watched for drift, and what is degraded; computations of one's own alone."""
        predictor = self._service.engine.controller.predictor
        now_s = self._service.engine.now_s()
        if not isinstance(predictor, Guarded):
            return DriftNow(watched=[], health=Health(), predictor=predictor.version, bound=BOUND, now_s=now_s)
        own = self._service.live.jobs_of(self._tenant).computations
        watched = [
            *(_watched(Subject.RESOURCE, name, one) for name, one in predictor.watch.resources.items()),
            *(
                _watched(Subject.COMPUTATION, name, one)
                for name, one in predictor.watch.computations.items()
                if name in own
            ),
        ]
        watched.sort(key=lambda one: (-one.anchors_left, -abs(one.statistic), one.id))
        health = predictor.health
        return DriftNow(
            watched=watched[:MOST_WATCHED],
            health=Health(
                resources=health.resources,
                computations={name: left for name, left in health.computations.items() if name in own},
                rung=health.rung,
                reasons=health.reasons,
            ),
            predictor=predictor.version,
            pool_is_stale=predictor.watch.pool_is_stale(now_s),
            bound=BOUND,
            now_s=now_s,
        )

    # -- cost and demand ---------------------------------------------------------------------------------------------

    def spending(self) -> SpendingNow:
        """Return what one's work has cost."""
        live = self._service.live
        return self._spending.get(live.hub.last, lambda: live.observed.spending(self._tenant))

    def demand(self) -> DemandShown:
        """Return what one's jobs ask for, what is expected of them, and what scaling does or would do for all."""
        service = self._service
        observed, now_s = service.live.observed, service.engine.now_s()
        own, all_of_it = observed.demand(now_s, self._tenant), observed.demand(now_s, None)
        resources = [one for one in service.pool() if service.can_run_on(one.id)]
        ahead = ahead_of(resources, own.width_s)
        shown = {"all": own.closed(), **{name: one[:-1] for name, one in largest(own, MOST_FORECAST).items()}}
        forecasts = self._expected.get(
            (own.width_s, own.bins, ahead),
            lambda: {name: expected(one, ahead, own.width_s) for name, one in shown.items() if name != OTHERS},
        )
        waiting, waited_s = observed.waiting(now_s)
        busy = len(service.engine.backend.pids())
        pool = Pool(resources=resources, busy=busy, waiting=waiting, waited_s=waited_s)
        scaling = service.scaling.told() if service.scaling is not None else None
        return DemandShown(
            demand=own,
            expected=forecasts,
            now_s=now_s,
            advice=advised(all_of_it, pool, now_s) if scaling is None else None,
            scaling=scaling,
        )

    # -- the map and the models --------------------------------------------------------------------------------------

    def plane(self) -> DnaPlane:
        """Return the map of the pool and of one's computations."""
        resources = self._service.resources()
        computations = list(self._service.live.jobs_of(self._tenant).computations.values())
        used = frozenset(one.name for one in self.spending().resources)

        def drawn() -> DnaPlane:
            return dna_plane(resources, computations[-_RECENT:], used, all_computations=len(computations))

        return self._plane.get((resources, len(computations), used), drawn)

    def registry(self) -> RegistryNow:
        """Return the registered models, the last training, and what the scheduler predicts with."""
        from dnaml import tracking

        service = self._service
        training = service.trainings.last()
        store = tracking.store_of(service.settings.state)
        database = store.database
        stamp = database.stat().st_mtime_ns if database is not None and database.is_file() else time.time() // 30
        predictor = service.engine.controller.predictor
        found = self._registry.get(
            (stamp, training["state"] if training else ""),
            lambda: RegistryNow(versions=tracking.described(store=store)),
        )
        rung = predictor.health.rung if isinstance(predictor, Guarded) else ""
        return RegistryNow(
            versions=found.versions, training=training, predictor=predictor.version, rung=rung, now_s=time.time()
        )


def _watched(subject: Subject, name: str, one: Watched) -> WatchedNow:
    return WatchedNow(
        subject=subject,
        id=name,
        statistic=one.sums.statistic,
        last_s=one.last_s,
        alarm_s=one.alarm_s,
        anchors_left=one.anchors_left,
    )
