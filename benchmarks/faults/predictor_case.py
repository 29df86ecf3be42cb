"""A predictor that misbehaves on purpose, under the guard that every engine puts around its predictor."""

import time
from collections.abc import Sequence

import numpy as np

from dnaml.core.plan import IntArray
from dnaml.core.prediction import Prediction
from dnaml.core.protocols import Run
from dnaml.core.types import Computation, Objective, Resource
from dnaml.predict.placing import LivePredictor

POOL = tuple(Resource(id=f"r{i}", price_usd_per_h=1.0) for i in range(4))
WORK = tuple(Computation(id=f"c{i}", kernel="c", size={"n": 1.0 + i}) for i in range(8))


def true_s(computation: Computation, resource: Resource) -> float:
    """Return the runtime of a pair in this small world: size over speed."""
    return computation.size["n"] * (1.0 + int(resource.id[1:]))


def taught() -> LivePredictor:
    """Return a predictor that has seen every pair twice."""
    return LivePredictor().updated([_run(c, r) for _ in range(2) for c in WORK for r in POOL])


def _run(computation: Computation, resource: Resource) -> Run:
    return Run(computation=computation, resource=resource, runtime_s=true_s(computation, resource), at_s=1.0)


class Misbehaving:
    """Answers as another predictor does, but with every value changed by `factor`, after `delay_s`."""

    def __init__(self, inner: LivePredictor, *, factor: float = 1.0, delay_s: float = 0.0) -> None:
        self._inner, self._factor, self._delay_s = inner, factor, delay_s
        self.version = f"misbehaving-{factor}-{delay_s}"

    def predict(self, computations: Sequence[Computation], resources: Sequence[Resource]) -> Prediction:
        """Return the changed answer, late."""
        if self._delay_s:
            time.sleep(self._delay_s)
        answer = self._inner.predict(computations, resources)
        answer.runtime_s.values[:] *= self._factor  # as a broken model would: no border checks what it hands out
        return answer

    def updated(self, runs: Sequence[Run]) -> "Misbehaving":
        """Learn nothing."""
        return self

    def shortlist(
        self, computation: Computation, resources: Sequence[Resource], objective: Objective, k: int
    ) -> IntArray:
        """Return the first resources."""
        return np.arange(min(k, len(resources)))
