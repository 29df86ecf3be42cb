"""Predictors that know the truth: medians of measured runtimes (the oracle), and the same with a stated error added."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from dnaml.core.prediction import Prediction
from dnaml.core.protocols import Run
from dnaml.core.types import Computation, Objective, Resource
from dnaml.predict.outcomes import Hazard, lognormal_quantiles, prediction, shortlisted
from dnaml.predict.placing import LivePredictor

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

Pair = tuple[str, str]  # computation id, resource id


@dataclass(frozen=True, kw_only=True, eq=False)
class TablePredictor:
    """Answers with the median of the measured runtimes of each (computation id, resource id).

    `log_sd` is the spread stated around a median, 0 for an oracle. Pairs that never ran are answered by `fallback`,
    which learns from the same runs; `error_log_sd` multiplies every answer by a fixed log-normal error per pair,
    drawn from `seed`, and widens the quantiles by as much: a predictor of known quality for tests and ablations.
    """

    runtimes_s: Mapping[Pair, tuple[float, ...]] = field(default_factory=dict)
    log_sd: float = 0.0
    error_log_sd: float = 0.0
    seed: int = 0
    hazard: Hazard = field(default_factory=Hazard)
    fallback: LivePredictor = field(default_factory=LivePredictor)

    @classmethod
    def from_runs(
        cls, runs: Sequence[Run], *, log_sd: float = 0.0, error_log_sd: float = 0.0, seed: int = 0
    ) -> "TablePredictor":
        """Return the table of these runs."""
        return cls(log_sd=log_sd, error_log_sd=error_log_sd, seed=seed).updated(runs)

    @property
    def version(self) -> str:
        """Name the table by its size and the error it adds."""
        error = f"-error{self.error_log_sd:g}-seed{self.seed}" if self.error_log_sd else ""
        return f"table-1{error}+{sum(map(len, self.runtimes_s.values()))}"

    def predict(self, computations: Sequence[Computation], resources: Sequence[Resource]) -> Prediction:
        """Return the measured medians as quantiles [C, R, Q]; path "table" when every pair was measured."""
        pairs = [(c.id, r.id) for c in computations for r in resources]
        shape = (len(computations), len(resources))
        medians = np.array([self._median(pair) for pair in pairs], dtype=np.float64).reshape(shape)
        errors = np.array([self._error(pair) for pair in pairs], dtype=np.float64).reshape(shape)
        known = np.isfinite(medians)
        spread = np.full(shape, np.hypot(self.log_sd, self.error_log_sd))
        values = lognormal_quantiles(np.log(np.where(known, medians, 1.0)) + errors, spread)
        path = "table"
        if not known.all():
            other = self.fallback.predict(computations, resources)
            values = np.where(known[..., None], values, other.runtime_s.values * np.exp(errors)[..., None])
            path = f"table|{other.path}"
        return prediction(
            runtime_s=values, computations=computations, resources=resources, hazard=self.hazard, path=path
        )

    def updated(self, runs: Sequence[Run]) -> "TablePredictor":
        """Return a table that holds these runs too; failed and censored ones are left out."""
        if not runs:
            return self
        table = dict(self.runtimes_s)
        for run in runs:
            if not run.failed and not run.censored and 0 < run.runtime_s < float("inf"):
                pair = (run.computation.id, run.resource.id)
                table[pair] = (*table.get(pair, ()), run.runtime_s)
        return replace(self, runtimes_s=table, hazard=self.hazard.updated(runs), fallback=self.fallback.updated(runs))

    def shortlist(
        self, computation: Computation, resources: Sequence[Resource], objective: Objective, k: int
    ) -> IntArray:
        """Return the indices [<= k] of the feasible resources of least weighted median time and cost, best first."""
        return shortlisted(self.predict([computation], resources), objective, k)

    def _median(self, pair: Pair) -> float:
        runtimes_s = self.runtimes_s.get(pair)
        return float(np.median(runtimes_s)) if runtimes_s else float("nan")

    def _error(self, pair: Pair) -> float:
        if not self.error_log_sd:
            return 0.0
        seed = zlib.crc32(f"{self.seed}|{pair[0]}|{pair[1]}".encode())
        return float(np.random.default_rng(seed).normal(0.0, self.error_log_sd))
