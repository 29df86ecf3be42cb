"""Scale-out curves: time is a non-negative sum of a constant, 1/n, ln n and n machines, fitted in relative error.

The basis is that of "Ernest: Efficient Performance Prediction for Large-Scale Advanced Analytics" (2016), section 3.
Known entities say how such curves look and what items add to them on the whole, so that one probe is enough.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from dnaml.predict.paired.grid import Answer, BoolArray, FloatArray, Grid, Task
from dnaml.predict.paired.kernels import merged
from dnaml.predict.paired.sources import Sources

TERMS = 4
FEWEST_CELLS = 3  # of a known entity whose curve counts
FEWEST_SOURCES = 3
FEWEST_ALONE = 3  # probes, where no curves are known
SHAPE_FLOOR = 0.02  # sd of a coefficient, of the mean sum of coefficients, at least
LEAST_NOISE = 0.01  # relative
FARTHEST = 1e3  # scale-out over the middle one, or the other way round
LEAST_SHARE = 0.02  # of the level of a curve, at least
NO_PRIOR = 1e-6
OWN_WEIGHT = 3.0  # imaginary probes that err as known entities do
# which terms a curve has: every combination
SUPPORTS = np.array(list(product((0.0, 1.0), repeat=TERMS)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ErnestExpert:
    """Settings of the expert: `loose` multiplies the covariance of known curves."""

    loose: float = 10.0

    def fit(self, grid: Grid, use: BoolArray, sources: Sources) -> "Curves | None":
        """Return the expert for entities marked in `use` [E], whose rows `sources` holds; None without scale-outs."""
        told = np.isfinite(grid.scale_out)
        if len(np.unique(grid.scale_out[told])) < FEWEST_CELLS:
            return None
        middle = float(np.exp(np.log(grid.scale_out[told]).mean()))
        basis = terms(np.where(told, grid.scale_out, middle), middle)
        known = grid.known[use] & told
        kept = known.sum(axis=1) >= FEWEST_CELLS
        if kept.sum() < FEWEST_SOURCES:
            flat = np.full(TERMS, 1.0 / TERMS)
            precision = np.eye(TERMS) * NO_PRIOR
            return Curves(
                middle=middle, shape=flat, precision=precision, noise=0.1, usual=np.zeros(len(told)), alone=True
            )
        rows, known = sources.rows[kept], known[kept]
        level = np.where(known, rows, 0.0).sum(axis=1) / known.sum(axis=1)
        curves = _fits(basis, rows - level[:, None], known)
        left = rows - level[:, None] - np.log(curves @ basis.T)
        error = float(np.where(known, np.expm1(np.clip(-left, -3, 3)) ** 2, 0.0).sum() / known.sum())
        floor = (SHAPE_FLOOR * curves.sum(axis=1).mean()) ** 2
        spread = np.cov(curves.T) + floor * np.eye(TERMS)
        return Curves(
            middle=middle,
            shape=curves.mean(axis=0),
            precision=np.linalg.inv(spread) / self.loose,
            noise=max(error**0.5, LEAST_NOISE),
            usual=_usual(left),
            alone=False,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """What known curves say. Shapes: shape [4] the mean curve, precision [4, 4], usual [I] what an item adds in ln
    seconds; `noise` is relative, `middle` the scale-out that terms are relative to, `alone` without known curves.
    """

    middle: float
    shape: FloatArray
    precision: FloatArray
    noise: float
    usual: FloatArray
    alone: bool

    def answer(self, task: Task, sources: Sources) -> Answer | None:
        """Return mean and sd [Q] of ln seconds; None without scale-outs or with too few probes."""
        places, y, runs = merged(task)
        n = task.scale_out
        if len(y) < (FEWEST_ALONE if self.alone else 1) or not np.isfinite(n).all():
            return None
        basis, k = terms(n, self.middle), task.probes
        usual = np.where(task.item >= 0, self.usual[np.maximum(task.item, 0)], 0.0)
        level, curve, covariance, left_out = self._curve(basis[places], y - usual[places], runs)
        height = np.maximum(basis[k:] @ curve, LEAST_SHARE)
        unsure = np.einsum("qi,ij,qj->q", basis[k:], covariance, basis[k:]) / height**2
        own = float(np.abs(left_out).mean()) if len(y) > 1 else float("nan")
        noise = self._noise(left_out)
        mean = level + np.log(height) + usual[k:]
        return Answer(mean=mean, sd=np.sqrt(unsure + noise**2), own_error=own)

    def _curve(
        self, basis: FloatArray, y: FloatArray, runs: FloatArray
    ) -> tuple[float, FloatArray, FloatArray, FloatArray]:
        """Return level (ln seconds), curve [4] and covariance [4, 4] given probes, and the errors left out [P]."""
        level = float(np.median(y - np.log(basis @ self.shape)))
        for again in (True, False):
            rows = basis * np.exp(level - y)[:, None] * np.sqrt(runs / runs.mean())[:, None]
            aims = np.sqrt(runs / runs.mean())
            prior = self.precision * self.noise**2
            products, pulls = rows[:, :, None] * rows[:, None], rows * aims[:, None]
            matrix, pull = products.sum(axis=0) + prior, pulls.sum(axis=0) + prior @ self.shape
            curve = non_negative(matrix, pull)
            if again:
                level += float((y - level - np.log(np.maximum(basis @ curve, LEAST_SHARE))).mean())
        covariance = np.linalg.inv(matrix + NO_PRIOR * np.eye(TERMS)) * self.noise**2
        without = non_negative(matrix - products, pull - pulls)
        left_out = y - level - np.log(np.maximum((basis * without).sum(axis=1), LEAST_SHARE))
        return level, curve, covariance, left_out

    def _noise(self, left_out: FloatArray) -> float:
        """Return the sd of ln seconds around a curve: as known entities lie, drawn to the own probes."""
        if len(left_out) < 2:
            return self.noise
        squares = float((np.clip(left_out, -2.0, 2.0) ** 2).sum())
        return float(((OWN_WEIGHT * self.noise**2 + squares) / (OWN_WEIGHT + len(left_out))) ** 0.5)


def terms(scale_out: FloatArray, middle: float) -> FloatArray:
    """Return the terms [N, 4] of a curve at numbers of machines, relative to a middle one; absurd ones are clipped."""
    relative = np.clip(scale_out / middle, 1.0 / FARTHEST, FARTHEST)
    return np.stack([np.ones(len(relative)), 1.0 / relative, np.maximum(np.log(relative) + 1.0, 0.0), relative], axis=1)


def non_negative(matrix: FloatArray, pull: FloatArray) -> FloatArray:
    """Return the non-negative u [..., 4] that minimises u'Au/2 - u'b: matrix A [..., 4, 4], pull b [..., 4].

    Every set of terms is tried, which is exact and cheap for so few.
    """
    size = np.trace(matrix, axis1=-2, axis2=-1)[..., None, None]
    matrix = matrix + 1e-9 * size * np.eye(TERMS)
    inside = SUPPORTS[:, :, None] * SUPPORTS[:, None]
    chosen = matrix[..., None, :, :] * inside + np.eye(TERMS) * (1.0 - SUPPORTS[:, None]) * size[..., None]
    found = np.linalg.solve(chosen, (pull[..., None, :] * SUPPORTS)[..., None])[..., 0]  # [..., 16, 4]
    cost = 0.5 * np.einsum("...si,...ij,...sj->...s", found, matrix, found) - (found @ pull[..., None])[..., 0]
    cost = np.where((found >= 0).all(axis=-1), cost, np.inf)
    best: FloatArray = np.take_along_axis(found, cost.argmin(axis=-1)[..., None, None], axis=-2)[..., 0, :]
    return best


def _fits(basis: FloatArray, y: FloatArray, known: BoolArray) -> FloatArray:
    """Return the curve [S, 4] of each row y [S, I] at its known cells."""
    weight = np.where(known, np.exp(-y), 0.0)
    matrix = np.einsum("si,ij,ik->sjk", weight**2, basis, basis)
    curves = non_negative(matrix, weight @ basis)
    return np.where((curves @ basis.T > 0).all(axis=1, keepdims=True), curves, 1.0 / TERMS)


def _usual(left: FloatArray) -> FloatArray:
    """Return what items add on the whole [I], as far as that foretells a row left out: left [S, I]."""
    members = len(left)
    mean = left.mean(axis=0)
    without = (mean * members - left) / (members - 1)
    share = 1.0 - float(((left - without) ** 2).sum()) / max(float((left**2).sum()), 1e-12)
    return np.median(left, axis=0) * float(np.clip(share, 0.0, 1.0))
