"""Empirical-Bayes rows: the whole row of a new entity is a ridge regression on its description, plus what known rows
left of theirs when each was left out, plus smooth functions of the item's descriptors.

Nothing is trained: probes average the settings by their evidence. Rows are not centred, so that how fast an entity is
says which shape to expect of it.
"""

from dataclasses import dataclass

import numpy as np

from dnaml.predict.paired.grid import Answer, FloatArray, IntArray, Task
from dnaml.predict.paired.kernels import Kernels, Posterior, Settings, merged, regress
from dnaml.predict.paired.regress import rbf
from dnaml.predict.paired.sources import Sources

FEWEST_SOURCES = 3
MOST_FACTORS = 48  # of a covariance of rows; what they leave out is variance of single items
LEAST_LEVERAGE = 0.05  # what leaving a row out divides by, at least
LEAST_VARIANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class RowExpert:
    """Settings of the expert; variances are in units of what the effects of entity and item leave.

    `ridges` are strengths of the regression on descriptions (infinite: the mean row); `items` pairs the shares of the
    squared-exponential kernel over descriptors and of the linear one over quantities.
    """

    ridges: tuple[float, ...] = (3.0, 30.0, float("inf"))
    items: tuple[tuple[float, float], ...] = ((0.05, 0.0), (0.5, 0.0), (0.2, 0.5), (0.2, 2.0))
    offsets: tuple[float, ...] = (0.3, 3.0)
    noises: tuple[float, ...] = (0.02, 0.2)
    freedom: float = 6.0

    def prepare(self, sources: Sources) -> "PreparedRows | None":
        """Return the expert with what depends on the sources alone worked out; None for too few of them."""
        if len(sources) < FEWEST_SOURCES:
            return None
        mean = sources.rows.mean(axis=0)
        around = sources.rows - mean
        ridges = [_Ridge(sources.x, around, strength) for strength in self.ridges]
        left = [ridge.left_out() for ridge in ridges]
        level = max(float(np.mean([(e - e.mean(axis=1, keepdims=True)).var() for e in left])), LEAST_VARIANCE)
        projections = np.stack([_factors(ridge.residual, around) for ridge in ridges])
        tail = np.mean(
            [_tail(ridge.residual, found, around) for ridge, found in zip(ridges, projections, strict=True)], axis=0
        )
        items, quantities = sources.items, sources.items.quantities
        guessed = 0.0
        if sources.held_out is not None:
            guessed = float(((sources.rows - sources.held_out) ** 2).mean())
        return PreparedRows(
            settings=self._settings(level, len(ridges)),
            level=level,
            centre=sources.x.mean(axis=0),
            mean=mean,
            around=np.ascontiguousarray(around.T),
            pull=np.stack([ridge.pull for ridge in ridges]),
            projections=projections,
            tail=tail,
            guessed=guessed,
            quantities=np.flatnonzero(quantities) if quantities.sum() >= 2 else np.arange(items.x.shape[1]),
        )

    def _settings(self, level: float, ridges: int) -> Settings:
        """Return the settings: coefficients of one covariance for each ridge, then the two kernels over items."""
        mean = np.repeat(np.arange(ridges), len(self.items))
        shares = np.tile(np.array(self.items, dtype=np.float64), (ridges, 1)) * level
        return Settings(
            mean=mean,
            coefficients=np.concatenate([np.eye(ridges)[mean], shares], axis=1),
            offsets=np.array(self.offsets) * level,
            noises=np.array(self.noises) * level,
            log_prior=np.zeros((len(mean), len(self.noises), len(self.offsets))),
            freedom=self.freedom,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedRows:
    """The expert for some sources. Shapes: centre [Fe], mean [I], around [I, S] rows less their mean, pull [L, Fe, S]
    from a description to weights of rows, projections [L, R, S] from rows to factors, quantities [*] columns of items.
    """

    settings: Settings
    level: float
    centre: FloatArray
    mean: FloatArray
    around: FloatArray
    pull: FloatArray
    projections: FloatArray
    tail: FloatArray
    guessed: float
    quantities: IntArray

    def answer(self, task: Task, sources: Sources) -> Answer:
        """Return mean and sd [Q] of ln seconds, and the error on own probes left out."""
        found = self._posterior(task, sources, joint=False)
        return Answer(mean=found.mean, sd=np.sqrt(found.variance + found.noise), own_error=found.own_error)

    def joint(self, task: Task, sources: Sources) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return mean [Q], covariance [Q, Q] without noise, and noise variance [Q] of the items asked about."""
        found = self._posterior(task, sources, joint=True)
        return found.mean, found.covariance, found.noise

    def _posterior(self, task: Task, sources: Sources, *, joint: bool) -> Posterior:
        places, y, runs = merged(task)
        columns = np.r_[places, task.probes : len(task.item)]
        mean, around = self._rows(task, sources, columns)
        weights = (task.entity_x - self.centre) @ self.pull  # [L, S]
        factors = around @ self.projections.transpose(0, 2, 1)  # [L, P+Q, R]
        unseen = task.item[columns] < 0
        x, p = task.item_x[columns], len(places)
        kernels = Kernels(
            blocks=self._blocks(factors[:, :p], factors, x[:p], x),
            diagonal=self._diagonal(factors[:, p:], x[p:]),
            means=mean + weights @ around.T,
            extra=np.where(unseen, self.guessed, self.tail[np.maximum(task.item[columns], 0)]),
        )
        square = self._blocks(factors[:, p:], factors[:, p:], x[p:], x[p:]) if joint else None
        return regress(kernels, y, 0.5 + 0.5 / runs, self.settings, square)

    def _rows(self, task: Task, sources: Sources, columns: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return the mean [P+Q] and what is around it [P+Q, S] of known rows at some of a task's items."""
        item = np.maximum(task.item[columns], 0)
        mean, around = self.mean[item], self.around[item]
        unseen = task.item[columns] < 0
        if unseen.any():
            rows = sources.at(task)[0][:, columns[unseen]].T
            mean[unseen] = rows.mean(axis=1)
            around[unseen] = rows - mean[unseen, None]
        return mean, around

    def _blocks(self, left: FloatArray, right: FloatArray, x: FloatArray, z: FloatArray) -> FloatArray:
        """Return the kernels [L+2, N, M] between items with factors [L, N, R], [L, M, R] and descriptors."""
        if x.shape[1] == 0:
            smooth = linear = np.zeros((len(x), len(z)))
        else:
            smooth = rbf(x, z, x.shape[1] ** 0.5)
            linear = x[:, self.quantities] @ z[:, self.quantities].T / len(self.quantities)
        return np.concatenate([left @ right.transpose(0, 2, 1), smooth[None], linear[None]])

    def _diagonal(self, factors: FloatArray, x: FloatArray) -> FloatArray:
        """Return the kernels [L+2, Q] of items with themselves."""
        wide = (x[:, self.quantities] ** 2).sum(axis=1) / max(len(self.quantities), 1)
        smooth = np.full(len(x), 1.0 if x.shape[1] else 0.0)
        return np.concatenate([(factors**2).sum(axis=2), smooth[None], wide[None]])


class _Ridge:
    """A ridge regression of rows on descriptions: x [S, F], around [S, I]; an infinite strength is the mean row."""

    def __init__(self, x: FloatArray, around: FloatArray, strength: float) -> None:
        members = len(x)
        centred = x - x.mean(axis=0)
        self.around = around
        self.pull = np.zeros((x.shape[1], members))
        if np.isfinite(strength) and x.shape[1]:
            self.pull = centred.T @ np.linalg.inv(centred @ centred.T + strength * np.eye(members))
        hat = centred @ self.pull + 1.0 / members
        # the share of each row that the others do not foretell, and what is left of it when it is left out itself
        apart = np.maximum(1.0 - np.diag(hat), LEAST_LEVERAGE)
        self.residual = (np.eye(members) - hat) / apart[:, None] / members**0.5

    def left_out(self) -> FloatArray:
        """Return what is left of each row [S, I] when it is left out."""
        found: FloatArray = self.residual @ self.around * len(self.around) ** 0.5
        return found


def _factors(residual: FloatArray, around: FloatArray) -> FloatArray:
    """Return the projection [R, S] of rows on at most MOST_FACTORS directions of what is left of them."""
    if len(residual) <= MOST_FACTORS:
        return residual
    left = residual @ around
    directions = np.linalg.eigh(left @ left.T)[1][:, -MOST_FACTORS:]
    found: FloatArray = directions.T @ residual
    return found


def _tail(residual: FloatArray, projection: FloatArray, around: FloatArray) -> FloatArray:
    """Return the variance [I] of each item that the factors leave out."""
    if len(projection) == len(residual):
        return np.zeros(around.shape[1])
    whole, kept = ((part @ around) ** 2 for part in (residual, projection))
    found: FloatArray = np.maximum(whole.sum(axis=0) - kept.sum(axis=0), 0.0)
    return found
