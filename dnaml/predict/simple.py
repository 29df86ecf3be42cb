"""The simple predictors as estimators of their own, to stand beside the real one: each fitted on the same runs.

`mean` of the computation, `scaling` of computations by resources, `neighbours` that behaved alike, gradient `boosting`.
"""

from collections.abc import Sequence
from enum import Enum
from statistics import NormalDist
from typing import TYPE_CHECKING, Self

import numpy as np

from dnaml.core.errors import InputError
from dnaml.datasets.table import RunTable
from dnaml.predict.baselines import Boosting, Expert, Means, Neighbours
from dnaml.predict.bilinear import fit_bilinear
from dnaml.predict.design import Design, Encoder

if TYPE_CHECKING:
    import pandas as pd


class Simple(Enum):
    """Is a simple way to predict."""

    MEAN = "mean"  # of the computation, else of the resource, else of all
    SCALING = "scaling"  # how fast a resource is times how long a computation is
    NEIGHBOURS = "neighbours"  # scaling, and what it left on the resources that behaved most alike
    BOOSTING = "boosting"  # scaling, and trees on the descriptors for what it left


class SimplePredictor:
    """Predicts by one simple way. Further runs are learned by fitting again."""

    def __init__(self, way: Simple, *, seed: int = 0) -> None:
        self.way, self.seed = way, seed
        self._encoder: Encoder | None = None
        self._seen: Design | None = None
        self._expert: Expert | None = None

    def fit(self, table: RunTable) -> Self:
        """Learn from the runs that tell a runtime; raise InputError when none does."""
        frame = table.frame[~(table.frame["failed"] | table.frame["censored"])].reset_index(drop=True)
        if len(frame) == 0:
            raise InputError(f"{self.way.value}: needs a run that ended by itself, got none")
        self._encoder = Encoder.of(frame)
        return self._learn(self._encoder.design(frame))

    def update(self, probes: RunTable) -> "SimplePredictor":
        """Return a new predictor fitted on all runs."""
        encoder, seen, _ = self._fitted()
        other = SimplePredictor(self.way, seed=self.seed)
        other._encoder = encoder
        return other._learn(seen.joined(encoder.design(probes.frame)))

    def predict_quantiles(self, pairs: "pd.DataFrame", levels: Sequence[float]) -> "pd.DataFrame":
        """Return one column of seconds per level, lognormal around the expert's mean."""
        import pandas as pd

        encoder, _, expert = self._fitted()
        mean, sd = expert.predict(encoder.design(pairs))
        columns = {level: np.exp(mean + sd * NormalDist().inv_cdf(level)) for level in levels}
        return pd.DataFrame(columns, index=pairs.index)

    def _learn(self, seen: Design) -> Self:
        self._seen, self._expert = seen, _expert(self.way, seen, seed=self.seed)
        return self

    def _fitted(self) -> tuple[Encoder, Design, Expert]:
        if self._encoder is None or self._seen is None or self._expert is None:
            raise InputError(f"{self.way.value}: must be fitted before it is used: call fit(table) first")
        return self._encoder, self._seen, self._expert


def _expert(way: Simple, seen: Design, *, seed: int) -> Expert:
    if way is Simple.MEAN:
        return Means.fit(seen)
    effects = fit_bilinear(seen, 0, seed=seed)
    if way is Simple.BOOSTING and len(seen) > 1:
        return Boosting.fit(seen, effects, seed=seed)
    neighbours = Neighbours.fit(seen, effects) if way is Simple.NEIGHBOURS else None
    return neighbours or effects
