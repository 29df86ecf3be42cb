"""The simple predictors, all in ln seconds and all shrunk: mean, per-machine scaling, nearest neighbours, boosting.

Each is a value that answers mean and sd of ln T for any pair, known or not, and takes further runs in closed form.
Scaling is `Bilinear` of rank 0; its latent forms of higher rank stand beside it in `experts.py`.
"""

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dnaml.predict.bilinear import Bilinear, computation_basis
from dnaml.predict.design import Design
from dnaml.predict.trees import Trees, boost

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BOOST_ROWS = 12_000
NEIGHBOUR_MATRIX = 4_000_000
NEIGHBOURS_PRIOR_CELLS = 3.0
MEAN_PRIOR_RUNS = 0.5


class Expert(Protocol):
    """Answers mean and sd [N] of ln seconds."""

    def predict(self, asked: Design) -> tuple[FloatArray, FloatArray]:
        """Return mean and sd [N] of ln seconds of one run of each pair."""
        ...

    def updated(self, seen: Design, new: Design) -> "Expert":
        """Return the expert after new rows; `seen` holds every row, the new ones included."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Means:
    """Answers the mean of the computation, else of the resource, else of all, each shrunk towards the next."""

    overall: float
    sd: float
    computations: dict[str, float] = field(default_factory=dict)
    resources: dict[str, float] = field(default_factory=dict)

    @classmethod
    def fit(cls, seen: Design) -> "Means":
        """Return the means of these rows."""
        overall = float(seen.target.mean())
        by = {side: _shrunk(getattr(seen, side), seen.target, overall) for side in ("computation", "resource")}
        known = np.array([by["computation"][name] for name in seen.computation.tolist()])
        sd = max(float((seen.target - known).std()), 0.1)
        return cls(overall=overall, sd=sd, computations=by["computation"], resources=by["resource"])

    def predict(self, asked: Design) -> tuple[FloatArray, FloatArray]:
        """Return the means and one sd for all."""
        mean = [
            self.computations.get(c, self.resources.get(r, self.overall))
            for c, r in zip(asked.computation.tolist(), asked.resource.tolist(), strict=True)
        ]
        return np.array(mean, dtype=np.float64), np.full(len(asked), self.sd)

    def updated(self, seen: Design, new: Design) -> "Means":
        """Return the means of every row seen."""
        return Means.fit(seen)


def _shrunk(ids: npt.NDArray[np.str_], target: FloatArray, overall: float) -> dict[str, float]:
    names, inverse, count = np.unique(ids, return_inverse=True, return_counts=True)
    total = np.bincount(inverse, weights=target, minlength=len(names))
    mean = (total + MEAN_PRIOR_RUNS * overall) / (count + MEAN_PRIOR_RUNS)
    return dict(zip(names.tolist(), mean.tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boosting:
    """Scaling plus gradient-boosted trees on what it leaves, from descriptors and both effects.

    After an update the trees stay; effects move.
    """

    effects: Bilinear
    trees: Trees
    sd: float

    @classmethod
    def fit(cls, seen: Design, effects: Bilinear, *, seed: int = 0) -> "Boosting":
        """Return the trees fitted on at most BOOST_ROWS rows, drawn by `seed`."""
        if len(seen) > BOOST_ROWS:
            seen = seen.rows(np.sort(np.random.default_rng(seed).permutation(len(seen))[:BOOST_ROWS]))
        left = seen.target - effects.predict(seen)[0]
        trees = boost(_boost_features(seen, effects), left, seed=seed)
        sd = float(np.std(left - trees.predict(_boost_features(seen, effects))))
        return cls(effects=effects, trees=trees, sd=max(sd, 0.02))

    def predict(self, asked: Design) -> tuple[FloatArray, FloatArray]:
        """Return effects plus trees; the sd is that of the effects with the trees' own residual for noise."""
        mean, sd = self.effects.predict(asked)
        variance = np.maximum(sd**2 - self.effects.noise, 0.0) + self.sd**2
        return mean + self.trees.predict(_boost_features(asked, self.effects)), np.sqrt(variance)

    def updated(self, seen: Design, new: Design) -> "Boosting":
        """Return the same trees over moved effects."""
        return replace(self, effects=self.effects.updated(seen, new))


def _boost_features(rows: Design, effects: Bilinear) -> FloatArray:
    u, _, _ = effects.computations.look_up(rows.computation, computation_basis(rows, effects.kernels))
    v, _, _ = effects.resources.look_up(rows.resource, np.nan_to_num(rows.resource_x))
    return np.concatenate([rows.resource_x, rows.computation_x, u[:, :1], v[:, :1]], axis=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neighbours:
    """Scaling plus the residuals of the resources that behaved most alike on what both ran.

    Shapes: residual [C, R], NaN where nothing ran; similarity weights fall with the squared distance of residuals.
    """

    effects: Bilinear
    residual: FloatArray
    completed: FloatArray

    @classmethod
    def fit(cls, seen: Design, effects: Bilinear) -> "Neighbours | None":
        """Return the neighbours of every resource; None when the matrix of pairs would be too large."""
        if len(effects.computations.index) * len(effects.resources.index) > NEIGHBOUR_MATRIX:
            return None
        residual = _residuals(seen, effects)
        return cls(effects=effects, residual=residual, completed=_completed(residual, effects.noise))

    def predict(self, asked: Design) -> tuple[FloatArray, FloatArray]:
        """Return effects plus the neighbours' residual; zero where a side is unknown."""
        mean, sd = self.effects.predict(asked)
        c = [self.effects.computations.index.get(name, -1) for name in asked.computation.tolist()]
        r = [self.effects.resources.index.get(name, -1) for name in asked.resource.tolist()]
        codes = np.array([c, r], dtype=np.int64).reshape(2, len(asked))
        known = (codes >= 0).all(axis=0)
        more = np.zeros(len(asked))
        more[known] = self.completed[codes[0][known], codes[1][known]]
        return mean + more, sd

    def updated(self, seen: Design, new: Design) -> "Neighbours":
        """Return the neighbours found again with the new rows."""
        effects = self.effects.updated(seen, new)
        residual = _residuals(seen, effects)
        return Neighbours(effects=effects, residual=residual, completed=_completed(residual, effects.noise))


def _residuals(seen: Design, effects: Bilinear) -> FloatArray:
    """Return the mean of what the effects leave in each cell [C, R], NaN where nothing ran."""
    left = seen.target - effects.predict(seen)[0]
    c = np.array([effects.computations.index[name] for name in seen.computation.tolist()], dtype=np.int64)
    r = np.array([effects.resources.index[name] for name in seen.resource.tolist()], dtype=np.int64)
    shape = (len(effects.computations.index), len(effects.resources.index))
    total, count = np.zeros(shape), np.zeros(shape)
    np.add.at(total, (c, r), left)
    np.add.at(count, (c, r), 1.0)
    residual: FloatArray = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return residual


def _completed(residual: FloatArray, noise: float) -> FloatArray:
    """Return for each cell [C, R] the weighted residual of the other resources that ran the computation."""
    known = np.isfinite(residual)
    value, mask = np.where(known, residual, 0.0), known.astype(np.float64)
    shared = mask.T @ mask
    squares = (value**2).T @ mask
    distance = squares + squares.T - 2 * value.T @ value
    scaled = (distance + NEIGHBOURS_PRIOR_CELLS * 2 * noise) / (shared + NEIGHBOURS_PRIOR_CELLS)
    weight = np.exp(-scaled / (0.5 * noise + 1e-6)) + 1e-12
    np.fill_diagonal(weight, 0.0)
    reach = mask @ weight.T
    completed: FloatArray = (value @ weight.T) / (reach + 0.05 * weight.max(initial=1e-12))
    return completed
