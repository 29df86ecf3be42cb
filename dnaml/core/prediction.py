"""Distributions, not numbers: quantiles of runtime and cost for every pair of computation and resource."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

LEVELS: tuple[float, ...] = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantiles:
    """Quantiles of a positive quantity. Shapes: levels [Q] rising in (0, 1), values [C, R, Q] rising along Q."""

    levels: FloatArray
    values: FloatArray

    def __post_init__(self) -> None:
        """Raise InputError when the shapes disagree or the values fall along Q."""
        if self.values.ndim != 3 or self.values.shape[-1] != len(self.levels):
            raise InputError(f"quantiles must be [C, R, {len(self.levels)}], got {list(self.values.shape)}")
        if bool(np.any(self.values[..., 1:] < self.values[..., :-1])):
            raise InputError("quantiles must not fall along the levels")

    def quantile(self, level: float) -> FloatArray:
        """Return the quantile [C, R] at a level in (0, 1): linear between levels, flat beyond the outermost."""
        if not 0 < level < 1:
            raise InputError(f"level must be inside (0, 1), got {level}")
        right = int(np.searchsorted(self.levels, level))
        if right == 0 or right == len(self.levels):
            edge: FloatArray = self.values[..., min(right, len(self.levels) - 1)]
            return edge
        low, high = self.levels[right - 1], self.levels[right]
        weight = (level - low) / (high - low)
        between: FloatArray = (1 - weight) * self.values[..., right - 1] + weight * self.values[..., right]
        return between

    def weighed(self, weights: FloatArray) -> FloatArray:
        """Return sums [C, R, ...] of the quantiles, weighed by each column of weights [Q, ...]."""
        sums: FloatArray = self.values @ weights
        return sums

    def known(self) -> BoolArray:
        """Return of which pairs [C, R] every quantile is a finite number."""
        known: BoolArray = np.all(np.isfinite(self.values), axis=-1)
        return known

    def mean(self) -> FloatArray:
        """Return the mean [C, R] of the piecewise-linear quantile function with flat tails."""
        edges = np.concatenate([[0.0], (self.levels[1:] + self.levels[:-1]) / 2, [1.0]])
        return self.weighed(np.diff(edges))

    def sample(self, rng: np.random.Generator, n: int) -> FloatArray:
        """Return n draws [C, R, n] by inverting the quantile function at uniform levels shared by all pairs."""
        draws = [self.quantile(float(u)) for u in np.clip(rng.random(n), 1e-9, 1 - 1e-9)]
        return np.stack(draws, axis=-1) if draws else np.empty((*self.values.shape[:2], 0))

    def rows(self, index: IntArray) -> "Quantiles":
        """Return the quantiles of some computations, repeated as `index` [J] says: [J, R, Q]."""
        return Repeated(self, index)


class Repeated(Quantiles):
    """Quantiles of few computations, each asked for by many jobs: whatever is asked is computed once a computation.

    Shapes are those of the jobs [J, R, ...]. The quantiles themselves, 28 MB for 500 jobs on 1,000 resources, are
    repeated only for who asks for all of them.
    """

    __slots__ = ("_whole", "few", "index")
    few: Quantiles
    index: IntArray
    _whole: FloatArray | None

    def __init__(self, few: Quantiles, index: IntArray) -> None:
        for name, value in (("levels", few.levels), ("few", few), ("index", index), ("_whole", None)):
            object.__setattr__(self, name, value)

    @property
    def values(self) -> FloatArray:
        """Return the quantiles [J, R, Q]."""
        whole = self.few.values[self.index] if self._whole is None else self._whole
        object.__setattr__(self, "_whole", whole)
        return whole

    def quantile(self, level: float) -> FloatArray:
        """Return the quantile [J, R] at a level in (0, 1)."""
        return self.few.quantile(level)[self.index]

    def weighed(self, weights: FloatArray) -> FloatArray:
        """Return sums [J, R, ...] of the quantiles, weighed by each column of weights [Q, ...]."""
        return self.few.weighed(weights)[self.index]

    def known(self) -> BoolArray:
        """Return of which pairs [J, R] every quantile is a finite number."""
        return self.few.known()[self.index]

    def rows(self, index: IntArray) -> Quantiles:
        """Return the quantiles of some of the jobs, repeated as `index` says."""
        return Repeated(self.few, self.index[index])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """What a predictor answers for C computations on R resources.

    `feasible` [C, R] is False where the pair cannot work (memory, kind); `hazard_per_h` [R] is the rate of losing the
    resource; `path` names the model or the fallback that answered. Unknown prices give NaN costs.
    """

    runtime_s: Quantiles
    cost_usd: Quantiles
    feasible: BoolArray
    hazard_per_h: FloatArray
    path: str

    def rows(self, index: IntArray) -> Self:
        """Return the prediction of some computations, repeated as `index` [J] says."""
        return type(self)(
            runtime_s=self.runtime_s.rows(index),
            cost_usd=self.cost_usd.rows(index),
            feasible=self.feasible[index],
            hazard_per_h=self.hazard_per_h,
            path=self.path,
        )
