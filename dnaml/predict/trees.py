"""Gradient-boosted trees as arrays of nodes, walked by numpy: fitted by scikit-learn, then kept without it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ROWS_AT_ONCE = 4096
LARGE_ROWS = 2000
MOST_TREES, FEWER_TREES = 150, 50
STEPS = 9.0  # learning rate times trees


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trees:
    """The sum of T regression trees. Shapes: all [T, M] over nodes, M the most nodes of a tree, but `base`.

    A leaf points at itself; a NaN feature goes left where `missing_left` says so.
    """

    base: float
    feature: IntArray
    threshold: FloatArray
    left: IntArray
    right: IntArray
    missing_left: npt.NDArray[np.bool_]
    value: FloatArray
    depth: int

    def predict(self, features: FloatArray) -> FloatArray:
        """Return the sum [N] of all trees for features [N, F]."""
        parts = [self._walk(features[at : at + ROWS_AT_ONCE]) for at in range(0, len(features), ROWS_AT_ONCE)]
        return np.concatenate(parts) if parts else np.empty(0)

    def _walk(self, features: FloatArray) -> FloatArray:
        trees = np.arange(len(self.feature))[:, None]
        node = np.zeros((len(self.feature), len(features)), dtype=np.int64)  # [T, N]
        rows = np.arange(len(features))[None, :]
        for _ in range(self.depth):
            value = features[rows, self.feature[trees, node]]
            goes_left = np.where(np.isnan(value), self.missing_left[trees, node], value <= self.threshold[trees, node])
            node = np.where(goes_left, self.left[trees, node], self.right[trees, node])
        total: FloatArray = self.base + self.value[trees, node].sum(axis=0)
        return total


def boost(features: FloatArray, target: FloatArray, *, seed: int = 0) -> Trees:
    """Fit gradient boosting by squares and return it as arrays; a small table gets fewer trees of longer steps."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    large = len(target) >= LARGE_ROWS
    model = HistGradientBoostingRegressor(
        max_iter=MOST_TREES if large else FEWER_TREES,
        learning_rate=STEPS / (MOST_TREES if large else FEWER_TREES),
        max_leaf_nodes=15,
        min_samples_leaf=min(10, max(2, len(target) // 20)),
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )
    # The pool comes with the import, after any limit of the caller; its threads spin while they wait for a busy core.
    with threadpool_limits(1):
        model.fit(features, target)
    # scikit-learn keeps the fitted nodes in a private attribute; tests compare the walk with its own prediction.
    nodes = [step[0].nodes for step in model._predictors]
    most = max(len(each) for each in nodes)

    def field(name: str, kind: type) -> npt.NDArray[np.generic]:
        return np.stack([np.pad(each[name].astype(kind), (0, most - len(each))) for each in nodes])

    leaf = np.stack(
        [np.pad(each["is_leaf"].astype(bool), (0, most - len(each)), constant_values=True) for each in nodes]
    )
    own = np.broadcast_to(np.arange(most), leaf.shape)
    return Trees(
        base=float(np.ravel(model._baseline_prediction)[0]),
        feature=np.where(leaf, 0, field("feature_idx", np.int64)),
        threshold=field("num_threshold", np.float64).astype(np.float64),
        left=np.where(leaf, own, field("left", np.int64)),
        right=np.where(leaf, own, field("right", np.int64)),
        missing_left=field("missing_go_to_left", np.bool_).astype(np.bool_),
        value=field("value", np.float64).astype(np.float64),
        depth=max(int(each["depth"].max()) for each in nodes),
    )
