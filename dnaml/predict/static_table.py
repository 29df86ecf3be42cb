"""The lowest rung of all fallbacks: what each pair took, and where it never ran a wide guess. It cannot fail.

Nothing is learned here but means; a pair is a computation at its size on a resource. Numpy only.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dnaml.core.prediction import Prediction
from dnaml.core.protocols import Run
from dnaml.core.types import Computation, Objective, Resource
from dnaml.predict.bound import log_speed
from dnaml.predict.hazard import Hazard
from dnaml.predict.history import Bucket, bucket_of
from dnaml.predict.outcomes import LONGEST_S, SHORTEST_S, lognormal_quantiles, prediction, shortlisted

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Item = tuple[Bucket, str]  # size, computation id
Taken = tuple[float, int, float]  # mean ln seconds, number of runs, ln speed of the resource by its specs

RAN_SD, ELSEWHERE_SD, UNKNOWN_SD = 0.2, 1.0, 2.0  # of ln seconds: the pair ran, the computation ran, neither
MOST_PAIRS = 100_000
MEMORY = 30  # runs that a mean remembers, so that a machine may change
FIRM = 2  # runs from which a mean is evidence against an answer


@dataclass(frozen=True, kw_only=True, eq=False)
class StaticTable:
    """What each pair took, by computation and resource id; computations that ran longest ago are dropped first."""

    items: Mapping[Item, Mapping[str, Taken]] = field(default_factory=dict)
    hazard: Hazard = field(default_factory=Hazard)

    @property
    def version(self) -> str:
        """Name the table by the number of pairs that it holds."""
        return f"static-1+{sum(map(len, self.items.values()))}"

    def predict(self, computations: Sequence[Computation], resources: Sequence[Resource]) -> Prediction:
        """Return what pairs took; for others the computation's mean elsewhere by the specs, else the specs alone."""
        taken = self._log_s(computations, resources, 1)
        ran = np.isfinite(taken)
        speed = np.array([log_speed(resource.spec) for resource in resources], dtype=np.float64)
        levels = [self._level(computation) for computation in computations]
        known = np.array([level is not None for level in levels], dtype=np.bool_)[:, None]
        level = np.array([level or 0.0 for level in levels], dtype=np.float64)[:, None]
        mean = np.where(ran, taken, level - speed)
        sd = np.where(ran, RAN_SD, np.where(known, ELSEWHERE_SD, UNKNOWN_SD))
        return prediction(
            runtime_s=lognormal_quantiles(mean, sd),
            computations=computations,
            resources=resources,
            hazard=self.hazard,
            path="table",
        )

    def updated(self, runs: Sequence[Run]) -> "StaticTable":
        """Return the table with these runs too; failed and censored ones, and impossible runtimes, tell nothing."""
        items, touched = dict(self.items), dict[Item, dict[str, Taken]]()
        speeds: dict[int, float] = {}  # by identity: many runs share few resources
        for run in runs:
            if run.failed or run.censored or not SHORTEST_S <= run.runtime_s <= LONGEST_S:
                continue
            item = (bucket_of(run.computation.size), run.computation.id)
            if item not in touched:
                touched[item] = dict(items.pop(item, {}))
            mean, count, _ = touched[item].get(run.resource.id, (0.0, 0, 0.0))
            count = min(count + 1, MEMORY)
            mean += (math.log(run.runtime_s) - mean) / count
            if id(run.resource) not in speeds:
                speeds[id(run.resource)] = log_speed(run.resource.spec)
            touched[item][run.resource.id] = (mean, count, speeds[id(run.resource)])
        items.update(touched)
        extra = sum(map(len, items.values())) - MOST_PAIRS
        while extra > 0:
            extra -= len(items.pop(next(iter(items))))
        return StaticTable(items=items, hazard=self.hazard.updated(runs))

    def shortlist(
        self, computation: Computation, resources: Sequence[Resource], objective: Objective, k: int
    ) -> IntArray:
        """Return the indices [<= k] of the feasible resources of least weighted median time and cost, best first."""
        return shortlisted(self.predict([computation], resources), objective, k)

    def firm_log_s(self, computations: Sequence[Computation], resources: Sequence[Resource]) -> FloatArray:
        """Return mean ln seconds [C, R] of pairs that ran at least FIRM times, NaN for the others."""
        return self._log_s(computations, resources, FIRM)

    def _level(self, computation: Computation) -> float | None:
        """Return the mean ln seconds of a computation on a resource of speed 1, None when it never ran."""
        row = self.items.get((bucket_of(computation.size), computation.id))
        return sum(mean + speed for mean, _, speed in row.values()) / len(row) if row else None

    def _log_s(self, computations: Sequence[Computation], resources: Sequence[Resource], least: int) -> FloatArray:
        found = np.full((len(computations), len(resources)), np.nan)
        rows = [self.items.get((bucket_of(c.size), c.id)) for c in computations]
        if not any(rows):
            return found
        for r, resource in enumerate(resources):
            for c, row in enumerate(rows):
                if row and resource.id in row and row[resource.id][1] >= least:
                    found[c, r] = row[resource.id][0]
        return found
