"""Empirical-Bayes rows: the whole row of a new entity is a regression on its description, plus what known rows left of
theirs when each was left out, plus smooth functions of the item's descriptors.

Nothing is trained: probes average the settings by their evidence. Rows are not centred, so that how fast an entity is
says which shape to expect of it.
"""

from dataclasses import dataclass

import numpy as np

from dnaml.predict.paired.grid import Answer, FloatArray, IntArray, Task
from dnaml.predict.paired.kernels import Kernels, Posterior, Settings, merged, regress
from dnaml.predict.paired.quantities import Quantities
from dnaml.predict.paired.regress import rbf
from dnaml.predict.paired.ridges import Ridge, Ridges
from dnaml.predict.paired.sources import Sources

FEWEST_SOURCES = 3
MOST_FACTORS = 64  # of rows; what they leave out is variance of single items
LEAST_VARIANCE = 1e-6
RIDGES = (
    Ridge(linear=0.3, smooth=1.0, strength=0.3),
    Ridge(linear=0.3, smooth=1.0, strength=3.0),
    Ridge(linear=0.3, smooth=1.0, strength=30.0),
    Ridge(smooth=1.0, strength=0.3),
    Ridge(smooth=1.0, strength=3.0),
    Ridge(linear=1.0, strength=0.3),
    Ridge(linear=1.0, strength=3.0),
    Ridge(),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowExpert:
    """Settings of the expert; variances are in units of what the effects of entity and item leave.

    `items` pairs the shares of the squared-exponential kernel over descriptors and of the linear one over quantities.
    `trust` is how many probes the error of rows left out counts for, when a ridge is chosen.
    """

    ridges: tuple[Ridge, ...] = RIDGES
    items: tuple[tuple[float, float], ...] = ((0.05, 0.0), (0.5, 0.0), (0.2, 0.5), (0.2, 2.0))
    offsets: tuple[float, ...] = (0.3, 3.0)
    noises: tuple[float, ...] = (0.02, 0.2)
    freedom: float = 6.0
    trust: float = 4.0

    def prepare(self, sources: Sources) -> "PreparedRows | None":
        """Return the expert with what depends on the sources alone worked out; None for too few of them."""
        if len(sources) < FEWEST_SOURCES:
            return None
        mean = sources.rows.mean(axis=0)
        around = sources.rows - mean
        basis, scores, tail = _directions(around)
        guessed = 0.0
        if sources.held_out is not None:
            guessed = float(((sources.rows - sources.held_out) ** 2).mean())
        return PreparedRows(
            settings=self._settings(),
            trust=self.trust,
            regression=Ridges.of(sources.x, around, basis, self.ridges),
            mean=mean,
            basis=basis,
            scores=scores,
            tail=tail,
            guessed=guessed,
            quantities=Quantities.of(sources.items, sources.rows),
        )

    def _settings(self) -> Settings:
        """Return the settings: coefficients of one covariance for each ridge, then the two kernels over items."""
        count = len(self.ridges)
        mean = np.repeat(np.arange(count), len(self.items))
        shares = np.tile(np.array(self.items, dtype=np.float64), (count, 1))
        return Settings(
            mean=mean,
            coefficients=np.concatenate([np.eye(count)[mean], shares], axis=1),
            offsets=np.array(self.offsets),
            noises=np.array(self.noises),
            log_prior=np.zeros((len(mean), len(self.noises), len(self.offsets))),
            freedom=self.freedom,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedRows:
    """The expert for some sources. Shapes: mean, tail [I]; basis [S, R] and scores [I, R] of rows around their mean;
    `guessed` is the variance of a row guessed for an item never seen.
    """

    settings: Settings
    trust: float
    regression: Ridges
    mean: FloatArray
    basis: FloatArray
    scores: FloatArray
    tail: FloatArray
    guessed: float
    quantities: Quantities

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
        mean, scores = self._rows(task, sources, columns)
        level = self.regression.level(task.entity_x)
        covariance = self.regression.left[level]
        unseen = task.item[columns] < 0
        x, p = task.item_x[columns], len(places)
        kernels = Kernels(
            blocks=self._blocks(covariance, scores[:p], scores, x[:p], x),
            diagonal=self._diagonal(covariance, scores[p:], x[p:]),
            means=mean + self.regression.pull(task.entity_x) @ scores.T,
            extra=np.where(unseen, self.guessed, self.tail[np.maximum(task.item[columns], 0)]),
        )
        square = self._blocks(covariance, scores[p:], scores[p:], x[p:], x[p:]) if joint else None
        return regress(kernels, y, 0.5 + 0.5 / runs, self._trusting(level), square)

    def _trusting(self, level: int) -> Settings:
        """Return the settings with a prior by how well each ridge foretells rows left out at a level."""
        s, spread = self.settings, max(float(self.regression.spread[level]), LEAST_VARIANCE)
        ridges = len(self.regression.shares)
        prior = -0.5 * self.trust * np.log(self.regression.error[level] + LEAST_VARIANCE)
        return Settings(
            mean=s.mean,
            coefficients=s.coefficients * np.r_[np.ones(ridges), spread, spread],
            offsets=s.offsets * spread,
            noises=s.noises * spread,
            log_prior=s.log_prior + prior[s.mean][:, None, None],
            freedom=s.freedom,
        )

    def _rows(self, task: Task, sources: Sources, columns: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return the mean [P+Q] of known rows at some of a task's items, and scores [P+Q, R] of what is around it."""
        item = np.maximum(task.item[columns], 0)
        mean, scores = self.mean[item], self.scores[item]
        unseen = task.item[columns] < 0
        if unseen.any():
            rows = sources.at(task)[0][:, columns[unseen]].T
            mean[unseen] = rows.mean(axis=1)
            scores[unseen] = (rows - mean[unseen, None]) @ self.basis
        return mean, scores

    def _blocks(
        self, covariance: FloatArray, left: FloatArray, right: FloatArray, x: FloatArray, z: FloatArray
    ) -> FloatArray:
        """Return the kernels [L+2, N, M] between items with scores [N, R], [M, R] and descriptors."""
        blocks = np.empty((len(covariance) + 2, len(x), len(z)))
        np.matmul(left @ covariance, right.T, out=blocks[:-2])
        if x.shape[1] == 0:
            blocks[-2:] = 0.0
        else:
            blocks[-2] = rbf(x, z, x.shape[1] ** 0.5)
            blocks[-1] = self.quantities(x) @ self.quantities(z).T
        return blocks

    def _diagonal(self, covariance: FloatArray, scores: FloatArray, x: FloatArray) -> FloatArray:
        """Return the kernels [L+2, Q] of items with themselves."""
        wide = (self.quantities(x) ** 2).sum(axis=1)
        smooth = np.full(len(x), 1.0 if x.shape[1] else 0.0)
        return np.concatenate([((scores @ covariance) * scores).sum(axis=2), smooth[None], wide[None]])


def _directions(around: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the main directions [S, R] of rows [S, I], the items' scores [I, R], and what those leave out [I]."""
    basis, values, items = np.linalg.svd(around, full_matrices=False)
    kept = slice(min(MOST_FACTORS, len(values)))
    scores = (values[kept, None] * items[kept]).T
    tail = np.maximum((around**2).mean(axis=0) - (scores**2).sum(axis=1) / len(around), 0.0)
    return np.ascontiguousarray(basis[:, kept]), np.ascontiguousarray(scores), tail
