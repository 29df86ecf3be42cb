"""Predictions for those who ask without running: the engine's kind of predictor, taught every run that ended.

Rows of seconds are kept for computations asked before; a computation whose kernel never ran is bounded by its demand
over all resources at once. Both are what the predictor itself answers, resource by resource.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dnaml.core.resource import Resource
from dnaml.core.work import Computation
from dnaml.predict.outcomes import costs_usd
from dnaml.predict.placing import BOUND_SD, EFFICIENCY_LOG, LivePredictor
from dnaml.rest.live import Live
from dnaml.rest.supplies import Supplies

FloatArray = npt.NDArray[np.float64]
NORMAL_P90 = 1.2815516
_CHUNK = 128  # resources asked at once: a predictor relates each to each other
_LEARN_EVERY_S = 5.0
_MOST_VALUES = 40_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """What is predicted of one computation: seconds [3, R] at p10, p50 and p90, cost [R] of the median, NaN unknown."""

    runtime_s: FloatArray
    cost_usd: FloatArray
    feasible: npt.NDArray[np.bool_]
    path: str


class Oracle:
    """Answers as the engine would on an idle pool; one caller at a time."""

    def __init__(self, live: Live, resources: Callable[[], tuple[Resource, ...]]) -> None:
        self._live, self._resources = live, resources
        self._lock = threading.Lock()
        self._predictor = LivePredictor()
        self._learned_s = 0.0
        self._pool: tuple[Resource, ...] = ()
        self._supplies = Supplies.of(())
        self._rows: OrderedDict[object, Row] = OrderedDict()

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
            self._supplies = Supplies.of(resources)
            self._rows.clear()
        runs, now_s = self._live.runs, time.monotonic()
        if runs and (at_once or now_s - self._learned_s >= _LEARN_EVERY_S):
            count = len(runs)
            self._predictor = self._predictor.updated(runs[:count])
            del runs[:count]
            self._learned_s = now_s
            self._rows.clear()

    def _row(self, computation: Computation) -> Row:
        known = computation.kernel in self._predictor.history.kernels
        if not known and computation.demand:
            bounded = self._bounded(computation)
            if bounded is not None:
                return bounded
        key = (
            computation.id,
            computation.kernel,
            computation.memory_bytes,
            computation.input_bytes,
            *computation.size.items(),
            *computation.demand.items(),
        )
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = self._asked(computation)
            if len(self._rows) * 5 * len(self._pool) > _MOST_VALUES:
                self._rows.popitem(last=False)
        else:
            self._rows.move_to_end(key)
        return row

    def _bounded(self, computation: Computation) -> Row | None:
        """Return the row of a computation whose kernel never ran; None where its demand says nothing of a resource."""
        bound_s = self._supplies.bounds_s(computation.demand)
        if bound_s is None:
            return None
        middle = bound_s * float(np.exp(EFFICIENCY_LOG))
        ratio = float(np.exp(NORMAL_P90 * BOUND_SD))
        return Row(
            runtime_s=np.stack([middle / ratio, middle, middle * ratio]),
            cost_usd=middle * self._supplies.price_usd_per_s,
            feasible=self._supplies.holds(computation.memory_bytes),
            path="dna-match" if self._predictor.prior is None else "pool",
        )

    def _asked(self, computation: Computation) -> Row:
        """Return what the predictor says, asked for some resources after the others."""
        shape = len(self._pool)
        runtime_s, cost_usd = np.empty((3, shape)), np.empty(shape)
        path = "none"
        for first in range(0, shape, _CHUNK):
            part = self._supplies.chunk(first, _CHUNK)
            answer = self._predictor.predict([computation], part)
            levels = [answer.runtime_s.quantile(level)[0] for level in (0.1, 0.5, 0.9)]
            runtime_s[:, first : first + len(part)] = levels
            cost_usd[first : first + len(part)] = costs_usd(levels[1][None, :, None], part, [computation])[0, :, 0]
            path = answer.path
        feasible = self._supplies.holds(computation.memory_bytes)
        return Row(runtime_s=runtime_s, cost_usd=cost_usd, feasible=feasible, path=path)
