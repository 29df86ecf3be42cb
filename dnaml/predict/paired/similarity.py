"""Gaussian process over items that are alike when known entities take alike times on them, and when described alike.

Rows of known entities are centred here: only the shape counts. Beside them stand the shape of the mean row, a linear
kernel over quantities (so that the target re-weights them from its own probes) and a squared-exponential one.
"""

from dataclasses import dataclass

import numpy as np

from dnaml.predict.paired.grid import Answer, FloatArray, IntArray, Task
from dnaml.predict.paired.kernels import Kernels, Posterior, Settings, merged, regress
from dnaml.predict.paired.quantities import Quantities
from dnaml.predict.paired.regress import rbf
from dnaml.predict.paired.sources import Sources

LEAST_VARIANCE, LEAST_SPREAD = 1e-6, 1e-6
CLIP = 6.0
ALIKE_SHARE, ALIKE_LENGTH = 0.1, 1.5  # of the kernel over rows' shapes: share of the level, and length per root width
FEWEST_FOR_OFFSET = 4
RIDGE = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarityExpert:
    """Settings of the expert; variances are in units of the shapes' mean variance.

    `rows` are amounts of similarity by rows, `mean` amounts of the mean row's shape, `items` pairs of amounts of the
    linear kernel over quantities and of the squared-exponential one over descriptors.
    """

    rows: tuple[float, ...] = (0.3, 1.0)
    mean: tuple[float, ...] = (0.0, 0.2)
    items: tuple[tuple[float, float], ...] = ((0.0, 0.0), (0.3, 0.0), (0.0, 0.3), (1.0, 0.3), (3.0, 0.3), (0.3, 1.5))
    noises: tuple[float, ...] = (0.01, 0.1)
    freedom: float = 6.0

    def prepare(self, sources: Sources) -> "PreparedSimilarity | None":
        """Return the expert with what depends on the sources alone worked out; None without sources."""
        if len(sources) < 2:
            return None
        rows = sources.rows
        mean = rows.mean(axis=0)
        shift = (rows - mean).mean(axis=1)
        shape = rows - mean - shift[:, None]
        level = float(shape.var()) + LEAST_VARIANCE
        offset_pull, offset, offset_variance = _offset(sources.x, shift)
        spread = shape.std(axis=1) + LEAST_SPREAD
        return PreparedSimilarity(
            settings=self._settings(level, offset_variance),
            level=level,
            shift=shift,
            spread=spread,
            mean=mean,
            mean_spread=float(mean.std()) + LEAST_SPREAD,
            offset=offset,
            offset_pull=offset_pull,
            rows=np.ascontiguousarray(rows.T),
            quantities=Quantities.of(sources.items, rows),
        )

    def _settings(self, level: float, offset_variance: float) -> Settings:
        """Return the settings: coefficients of covariance, alikeness, mean shape, quantities, descriptors."""
        found = []
        for amount in self.rows:
            for shape in self.mean:
                found += [(amount / 2, amount / 2, shape, *both) for both in self.items]
        coefficients = np.array([(*amounts, ALIKE_SHARE) for amounts in found]) * level
        return Settings(
            mean=np.zeros(len(coefficients), dtype=np.int64),
            coefficients=coefficients,
            offsets=np.array([offset_variance]),
            noises=np.array(self.noises) * level,
            log_prior=np.zeros((len(coefficients), len(self.noises), 1)),
            freedom=self.freedom,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedSimilarity:
    """The expert for some sources. Shapes: shift, spread [S] of rows, rows [I, S], mean [I], offset_pull [Fe + 1]."""

    settings: Settings
    level: float
    shift: FloatArray
    spread: FloatArray
    mean: FloatArray
    mean_spread: float
    offset: float
    offset_pull: FloatArray
    rows: FloatArray
    quantities: Quantities

    def answer(self, task: Task, sources: Sources) -> Answer:
        """Return mean and sd [Q] of ln seconds, and the error on own probes left out."""
        found = self._posterior(task, sources)
        return Answer(mean=found.mean, sd=np.sqrt(found.variance + found.noise), own_error=found.own_error)

    def _posterior(self, task: Task, sources: Sources) -> Posterior:
        places, y, runs = merged(task)
        columns = np.r_[places, task.probes : len(task.item)]
        rows, p = self._rows(task, sources, columns), len(places)
        mean = rows.mean(axis=1)
        shape = (rows - mean[:, None] - self.shift) / self.level**0.5
        alike = np.clip((rows - mean[:, None] - self.shift) / self.spread, -CLIP, CLIP)
        flat = (mean - self.mean.mean()) / self.mean_spread
        x = task.item_x[columns]
        blocks, diagonal = self._blocks(shape, alike, flat, x, p)
        said = mean + self.offset + float(task.entity_x @ self.offset_pull)
        kernels = Kernels(blocks=blocks, diagonal=diagonal, means=said[None], extra=np.zeros(len(columns)))
        return regress(kernels, y, 0.5 + 0.5 / runs, self.settings)

    def _rows(self, task: Task, sources: Sources, columns: IntArray) -> FloatArray:
        """Return known rows [P+Q, S] at some of a task's items."""
        rows = self.rows[np.maximum(task.item[columns], 0)]
        unseen = task.item[columns] < 0
        if unseen.any():
            rows[unseen] = sources.at(task)[0][:, columns[unseen]].T
        return rows

    def _blocks(
        self, shape: FloatArray, alike: FloatArray, flat: FloatArray, x: FloatArray, p: int
    ) -> tuple[FloatArray, FloatArray]:
        """Return the kernels [6, P, P+Q] against the probes and [6, Q] of items with themselves."""
        members, wide = shape.shape[1], max(x.shape[1], 1)
        amounts = self.quantities(x)
        smooth = rbf(x[:p], x, wide**0.5) if x.shape[1] else np.zeros((p, len(x)))
        blocks = [
            shape[:p] @ shape.T / members,
            alike[:p] @ alike.T / members,
            np.outer(flat[:p], flat),
            amounts[:p] @ amounts.T,
            smooth,
            rbf(alike[:p], alike, ALIKE_LENGTH * members**0.5),
        ]
        asked = len(x) - p
        diagonal = [
            (shape[p:] ** 2).sum(axis=1) / members,
            (alike[p:] ** 2).sum(axis=1) / members,
            flat[p:] ** 2,
            (amounts[p:] ** 2).sum(axis=1),
            np.full(asked, 1.0 if x.shape[1] else 0.0),
            np.ones(asked),
        ]
        return np.stack(blocks), np.stack(diagonal)


def _offset(x: FloatArray, shift: FloatArray) -> tuple[FloatArray, float, float]:
    """Return slope [Fe], level and left-out variance of a ridge of each row's shift [S] on its description."""
    members = len(shift)
    if members < FEWEST_FOR_OFFSET or x.shape[1] == 0:
        return np.zeros(x.shape[1]), float(shift.mean()), max(float(shift.var()), 1.0) * 2
    centred = x - x.mean(axis=0)
    pull = np.linalg.solve(centred.T @ centred + RIDGE * np.eye(x.shape[1]), centred.T)
    apart = np.maximum(1.0 - (centred * pull.T).sum(axis=1) - 1.0 / members, 0.05)
    slope = pull @ (shift - shift.mean())
    left = (shift - shift.mean() - centred @ slope) / apart
    return slope, float(shift.mean() - x.mean(axis=0) @ slope), max(float((left**2).mean()), 0.01)
