"""Predictions for those who ask without running: the engine's kind of predictor, taught every run that ended.

A computation whose kernel never ran is bounded by its demand, from arrays of the whole pool; of others the predictor is
asked for mean and spread. Either is what the predictor itself answers, resource by resource.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dnaml.core.resource import Resource
from dnaml.core.work import Computation
from dnaml.predict.outcomes import LONGEST_S, SHORTEST_S
from dnaml.predict.placing import LivePredictor
from dnaml.predict.unmeasured import BOUND_SD, EFFICIENCY_LOG
from dnaml.rest.live import Live
from dnaml.rest.supplies import Supplies

FloatArray = npt.NDArray[np.float64]
NORMAL_P90 = 1.2815516
_SHORTEST_LOG, _LONGEST_LOG = np.log(SHORTEST_S), np.log(LONGEST_S)
_LEARN_EVERY_S = 5.0
_BOUND_RATIO = np.exp(NORMAL_P90 * np.full(1, BOUND_SD))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """What is predicted of one computation: seconds [R] at the median, `ratio` [R] or [1] of p90 to it and of it to
    p10, cost [R] of the median, NaN unknown."""

    median_s: FloatArray
    ratio: FloatArray
    cost_usd: FloatArray
    feasible: npt.NDArray[np.bool_]
    path: str

    def band_s(self, place: int) -> tuple[float, float, float]:
        """Return p10, p50 and p90 on one resource."""
        middle, ratio = self.median_s.item(place), self.ratio.item(place if len(self.ratio) > 1 else 0)
        return middle / ratio, middle, middle * ratio


class Oracle:
    """Answers as the engine would on an idle pool; one caller at a time."""

    def __init__(self, live: Live, resources: Callable[[], tuple[Resource, ...]]) -> None:
        self._live, self._resources = live, resources
        self._lock = threading.Lock()
        self._predictor = LivePredictor()
        self._learned_s = 0.0
        self._pool: tuple[Resource, ...] = ()
        self.supplies = Supplies.of(())

    def rows(self, computations: Sequence[Computation]) -> tuple[tuple[Resource, ...], list[Row]]:
        """Return the resources R, and the row of each computation over them."""
        with self._lock:
            self._refresh()
            return self._pool, [self._row(one) for one in computations]

    def learned(self) -> LivePredictor:
        """Return a predictor of its own that knows every run so far."""
        with self._lock:
            self._refresh(at_once=True)
            return replace(self._predictor, _kept={})

    def _refresh(self, *, at_once: bool = False) -> None:
        resources = self._resources()
        if resources is not self._pool:
            self._pool = resources
            self.supplies = Supplies.of(resources)
        runs, now_s = self._live.runs, time.monotonic()
        if runs and (at_once or now_s - self._learned_s >= _LEARN_EVERY_S):
            count = len(runs)
            self._predictor = self._predictor.updated(runs[:count])
            del runs[:count]
            self._learned_s = now_s

    def _row(self, computation: Computation) -> Row:
        known = computation.kernel in self._predictor.history.kernels
        bound_s = None if known else self.supplies.bounds_s(computation.demand)
        if bound_s is not None:
            median_s, ratio = bound_s * float(np.exp(EFFICIENCY_LOG)), _BOUND_RATIO
            path = "dna-match" if self._predictor.prior is None else "pool"
        else:
            mean, sd, path = self._predictor.spread(computation, self._pool)
            median_s, ratio = np.exp(np.clip(mean, _SHORTEST_LOG, _LONGEST_LOG)), np.exp(NORMAL_P90 * sd)
        return Row(
            median_s=median_s,
            ratio=ratio,
            cost_usd=self.supplies.cost_usd(median_s, computation),
            feasible=self.supplies.holds(computation.memory_bytes),
            path=path,
        )
