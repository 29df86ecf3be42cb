"""Lets cold starts count in decisions: predicted times on serverless resources include their start-up.

The engine learns what work itself takes; the back end keeps each function's `startup_s` at what its next start is
expected to take. Costs include start-up already.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dnaml.core.prediction import Prediction, Quantiles
from dnaml.core.protocols import Predictor, Run
from dnaml.core.resource import Resource, Site
from dnaml.core.work import Computation


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WithStarts:
    """A predictor whose times on serverless resources begin at the call: start-up plus work."""

    inner: Predictor

    @property
    def version(self) -> str:
        """Return the name of the predictor behind it, marked."""
        return f"{self.inner.version}+starts"

    def predict(self, computations: Sequence[Computation], resources: Sequence[Resource]) -> Prediction:
        """Return the inner prediction, later by the start-up where a resource is rented by the call."""
        found = self.inner.predict(computations, resources)
        starts_s = np.array([(one.startup_s or 0.0) if one.site is Site.SERVERLESS else 0.0 for one in resources])
        if not starts_s.any():
            return found
        shifted = Quantiles(levels=found.runtime_s.levels, values=found.runtime_s.values + starts_s[:, None])
        return replace(found, runtime_s=shifted)

    def updated(self, runs: Sequence[Run]) -> "WithStarts":
        """Return the predictor that has learned from runs, whose times are those of the work alone."""
        return WithStarts(inner=self.inner.updated(runs))
