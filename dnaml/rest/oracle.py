"""Predictions for those who ask without running: the engine's kind of predictor, taught every run that ended."""

import threading
from collections.abc import Callable, Sequence

from dnaml.client import default_predictor
from dnaml.core.prediction import Prediction
from dnaml.core.protocols import Predictor
from dnaml.core.resource import Resource
from dnaml.core.work import Computation
from dnaml.rest.live import Live


class Oracle:
    """Answers as the engine would; one caller at a time, since predictors keep what they computed."""

    def __init__(self, live: Live, resources: Callable[[], tuple[Resource, ...]]) -> None:
        self._live, self._resources = live, resources
        self._lock = threading.Lock()
        self._predictor: Predictor = default_predictor()
        self._pool: tuple[Resource, ...] = ()

    def predictor(self) -> Predictor:
        """Return a predictor that knows every run so far."""
        runs = self._live.runs
        if runs:
            count = len(runs)
            self._predictor = self._predictor.updated(runs[:count])
            del runs[:count]
        return self._predictor

    def predict(self, computations: Sequence[Computation]) -> tuple[tuple[Resource, ...], Prediction]:
        """Return the resources R, and what is predicted of the computations on all of them [C, R]."""
        with self._lock:
            pool = self._resources()
            if pool != self._pool:
                self._pool = pool
            return self._pool, self.predictor().predict(computations, self._pool)
