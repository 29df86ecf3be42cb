"""A predictor of stated runtimes: what the histories, and the tests of the controller, decide by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from dnaml.core.plan import IntArray
from dnaml.core.prediction import LEVELS, Prediction, Quantiles
from dnaml.core.protocols import Run
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Objective

LATENCY = Objective.of("min_latency")


@dataclass(frozen=True, kw_only=True)
class StatedPredictor:
    """Predicts a stated runtime for each resource (1 s where none is stated), and keeps what it was taught.

    The runtime's lowest and highest quantile are a `spread` apart; a resource's price is 1 a second or as in `prices`.
    """

    seconds: Mapping[str, float] = field(default_factory=dict)
    spread: float = 1.0
    prices: Mapping[str, float] = field(default_factory=dict)
    hazard_per_h: float = 0.0
    taught: tuple[tuple[Run, ...], ...] = ()

    @property
    def version(self) -> str:
        """Return how often it was taught, as a name."""
        return f"stated-{len(self.taught)}"

    def predict(self, computations: Sequence[Computation], resources: Sequence[Resource]) -> Prediction:
        """Return the stated runtimes, whatever the computations are."""
        row = np.array([self.seconds.get(resource.id, 1.0) for resource in resources])
        levels = self.spread ** np.linspace(-0.5, 0.5, len(LEVELS))
        values = row[None, :, None] * levels * np.ones((len(computations), 1, 1))
        price = np.array([self.prices.get(resource.id, 1.0) for resource in resources])
        runtime_s = Quantiles(levels=np.array(LEVELS), values=values)
        return Prediction(
            runtime_s=runtime_s,
            cost_usd=Quantiles(levels=np.array(LEVELS), values=values * price[None, :, None]),
            feasible=np.ones(values.shape[:2], dtype=bool),
            hazard_per_h=np.full(len(resources), self.hazard_per_h),
            path=self.version,
        )

    def updated(self, runs: Sequence[Run]) -> "StatedPredictor":
        """Return the predictor that keeps these runs too."""
        return replace(self, taught=(*self.taught, tuple(runs)))

    def shortlist(
        self, computation: Computation, resources: Sequence[Resource], objective: Objective, k: int
    ) -> IntArray:
        """Return the places of the `k` quickest resources, best first."""
        return np.argsort([self.seconds.get(resource.id, 1.0) for resource in resources], kind="stable")[:k]
