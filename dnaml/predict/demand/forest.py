"""A forest of random trees that forecasts the whole distribution: the past bins that share leaves with this one.

Quantile regression forests (Meinshausen, 2006) of extremely randomised trees. Training needs scikit-learn; a forecast
walks the stored trees with numpy alone.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dnaml.predict.demand.features import Layout
from dnaml.predict.demand.forecaster import FloatArray, IntArray, Past, weighted_quantiles
from dnaml.predict.demand.periods import found_periods

if TYPE_CHECKING:
    from sklearn.ensemble import ExtraTreesRegressor

FIRST = 24
"""bins before the first training"""
MOST_ROWS = 8000
"""bins that are learned from, the newest"""
TREES = 60
LEAF = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trees:
    """All trees as one table of nodes, and the past targets behind each leaf.

    `roots` [T]; of each node: `feature`, `threshold`, `left`, `right` [M] (left -1: a leaf), and its targets are
    `targets[first[node]:first[node + 1]]`, each counting `weight`.
    """

    roots: IntArray
    feature: IntArray
    threshold: FloatArray
    left: IntArray
    right: IntArray
    first: IntArray
    targets: FloatArray
    weights: FloatArray

    def quantiles(self, row: FloatArray) -> FloatArray:
        """Return the quantiles [K] of the targets that share leaves with a row [F]."""
        node = self.roots
        inner = self.left[node] >= 0
        while inner.any():
            below = row[self.feature[node]] <= self.threshold[node]
            node = np.where(inner, np.where(below, self.left[node], self.right[node]), node)
            inner = self.left[node] >= 0
        counts = self.first[node + 1] - self.first[node]
        starts = np.repeat(self.first[node] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
        which = starts + np.arange(int(counts.sum()))
        return weighted_quantiles(self.targets[which], self.weights[which])


class Forest:
    """Forecasts by a forest that is grown again each time the past has grown by a share of itself.

    `seasons` are periods known beforehand (a day, a week); with `finds_periods` those of the series are added.
    """

    def __init__(
        self,
        name: str,
        ahead: int,
        *,
        seasons: tuple[int, ...] = (),
        relative: bool = False,
        finds_periods: bool = False,
        half_life: float | None = None,
        seed: int = 0,
    ) -> None:
        self.name = name
        self._ahead = ahead
        self._seasons = seasons
        self._relative = relative
        self._finds_periods = finds_periods
        self._half_life = half_life
        self._seed = seed
        self._past = Past()
        self._layout = Layout(ahead=ahead)
        self._trees: Trees | None = None
        self._next = FIRST

    def observe(self, value: float) -> None:
        """Take in the demand of the next bin."""
        self._past.append(value)

    def forecast(self) -> FloatArray | None:
        """Return quantiles [K] at LEVELS; None before FIRST bins. It grows the trees when that is due."""
        if len(self._past) >= self._next:
            self._grow()
            self._next = len(self._past) + max(12, min(len(self._past) // 12, 96))
        if self._trees is None:
            return None
        row, scale = self._layout.rows(self._past, np.array([len(self._past) - 1]))
        return self._trees.quantiles(row[0]) * float(scale[0])

    def _grow(self) -> None:
        size = len(self._past)
        known = tuple(season for season in self._seasons if 2 * season <= size)
        found = found_periods(self._past.values[-MOST_ROWS:]) if self._finds_periods else ()
        seasons = (*known, *(one for one in found if one not in known and one > self._ahead))
        self._layout = Layout(ahead=self._ahead, seasons=seasons, relative=self._relative)
        at = np.arange(max(0, size - self._ahead - MOST_ROWS), size - self._ahead)
        rows, scale = self._layout.rows(self._past, at)
        targets = self._past.values[at + self._ahead] / scale
        weights = np.ones(len(at)) if self._half_life is None else 0.5 ** ((at[-1] - at) / self._half_life)
        self._trees = grown(rows, targets, weights, self._seed)


def grown(rows: FloatArray, targets: FloatArray, weights: FloatArray, seed: int) -> Trees:
    """Return trees grown on rows [N, F] with targets [N] and weights [N]; needs scikit-learn."""
    from sklearn.ensemble import ExtraTreesRegressor

    usual = float(np.median(targets)) + 0.1 * float(targets.mean()) + 1e-12
    model = ExtraTreesRegressor(
        TREES, min_samples_leaf=LEAF, max_features=0.5, bootstrap=True, random_state=seed, n_jobs=1
    ).fit(rows.astype(np.float32), np.log1p(targets / usual), sample_weight=weights)
    return _stored(model, rows, targets, weights)


def _stored(model: "ExtraTreesRegressor", rows: FloatArray, targets: FloatArray, weights: FloatArray) -> Trees:
    leaves = model.apply(rows.astype(np.float32)).astype(np.int64)  # [N, T]
    trees = [one.tree_ for one in model.estimators_]
    sizes = np.array([tree.node_count for tree in trees])
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    node = (leaves + roots).T.ravel()  # [T * N]
    order = np.argsort(node, kind="stable")
    nodes = int(sizes.sum())
    mass = np.tile(weights, len(trees))
    share = mass / np.bincount(node, mass, minlength=nodes)[node]

    def joined(name: str, shifts: bool) -> IntArray:
        parts = [getattr(tree, name).astype(np.int64) for tree in trees]
        if shifts:
            parts = [np.where(part >= 0, part + root, -1) for part, root in zip(parts, roots, strict=True)]
        return np.concatenate(parts)

    return Trees(
        roots=roots,
        feature=np.maximum(joined("feature", False), 0),
        threshold=np.concatenate([tree.threshold for tree in trees]),
        left=joined("children_left", True),
        right=joined("children_right", True),
        first=np.searchsorted(node[order], np.arange(nodes + 1)),
        targets=np.tile(targets, len(trees))[order],
        weights=share[order],
    )
