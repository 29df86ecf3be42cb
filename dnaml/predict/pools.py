"""Answers kept for one set of resources, row by row: a decision about a known computation costs microseconds."""

from collections.abc import Sequence
from itertools import count

import numpy as np
import numpy.typing as npt

from dnaml.core.prediction import Prediction, Quantiles
from dnaml.core.types import Computation, Resource
from dnaml.predict.bound import traits
from dnaml.predict.cost import Tariffs, Traffic, moved_bytes
from dnaml.predict.history import History
from dnaml.predict.outcomes import QUANTILE_LEVELS, Hazard
from dnaml.predict.pooled import Rows

FloatArray = npt.NDArray[np.float64]

Key = tuple[object, ...]

PATHS = ("model", "runs", "pool", "dna-match")  # strongest first
MODEL, RUNS, POOL, MATCH = range(4)
MOST_VALUES = 2_000_000  # quantiles kept


class KeptAnswers:
    """Keeps quantiles [R, Q] per computation key for one tuple of resources; a kept answer never changes."""

    def __init__(self, resources: Sequence[Resource], history: History, hazard: Hazard) -> None:
        self.resources = tuple(resources)
        known, fresh = history.codes, count(len(history.codes))
        self.fresh = [traits(r.spec) for r in resources if r.id not in known]
        self.codes = np.array([known[r.id] if r.id in known else next(fresh) for r in resources], dtype=np.int64)
        self.memory = np.array([np.inf if r.memory_bytes is None else r.memory_bytes for r in resources])
        self.tariffs = Tariffs.of(resources)
        self.depends_on_data = self.tariffs.depends_on_data
        self.hazard = hazard.rates_per_h(resources)
        self.hazard.setflags(write=False)
        self.traits: FloatArray | None = None
        """what the specs of the resources tell [R, 1 + P]"""
        self.shift: FloatArray | None = None
        """how slow a kernel that never ran is expected to be on them, in ln [R]"""
        self.rows_of: dict[str, Rows] = {}
        """by kernel"""
        self.clear()

    def clear(self) -> None:
        """Forget every answer."""
        self.index: dict[Key, int] = {}
        self.rows: list[FloatArray] = []
        self.moved: list[tuple[float, float, float, float]] = []
        self.paths: list[int] = []
        self.single: dict[int, Prediction] = {}
        self.whole: Prediction | None = None

    @property
    def full(self) -> bool:
        """Say whether so much is kept that it is time to start afresh."""
        return len(self.rows) * len(self.resources) * len(QUANTILE_LEVELS) > MOST_VALUES

    def add(self, key: Key, runtime_s: FloatArray, computation: Computation, path: int) -> int:
        """Keep one computation's quantiles [R, Q] and return its row number."""
        self.index[key] = len(self.rows)
        self.rows.append(runtime_s)
        self.moved.append(moved_bytes(computation))
        self.paths.append(path)
        self.whole = None
        return len(self.rows) - 1

    def answer(self, rows: list[int]) -> Prediction:
        """Return the prediction made of these rows."""
        if len(rows) == 1:
            found = self.single.get(rows[0])
            if found is None:
                found = self.single[rows[0]] = self._build(rows)
            return found
        used = sorted(set(rows))
        if len(used) < len(self.rows):
            place = {row: index for index, row in enumerate(used)}
            return self._build(used).rows(np.array([place[row] for row in rows], dtype=np.int64))
        if self.whole is None:
            self.whole = self._build(used)
        return self.whole.rows(np.array(rows, dtype=np.int64))

    def _build(self, rows: list[int]) -> Prediction:
        shape = (len(rows), len(self.resources), len(QUANTILE_LEVELS))
        runtime_s = np.array([self.rows[r] for r in rows], dtype=np.float64).reshape(shape)
        traffic = Traffic.of_rows([self.moved[r] for r in rows])
        cost_usd = self.tariffs.cost_usd(runtime_s, traffic=traffic)
        feasible = traffic.memory_bytes <= self.memory[None, :]
        for array in (runtime_s, cost_usd, feasible):
            array.setflags(write=False)
        return Prediction(
            runtime_s=Quantiles(levels=QUANTILE_LEVELS, values=runtime_s),
            cost_usd=Quantiles(levels=QUANTILE_LEVELS, values=cost_usd),
            feasible=feasible,
            hazard_per_h=self.hazard,
            path=PATHS[max((self.paths[r] for r in rows), default=MATCH)],
        )
