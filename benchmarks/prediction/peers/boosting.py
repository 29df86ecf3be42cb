"""Peers that boost trees over all descriptors: on ln runtime itself, or on what per-machine scaling leaves."""

from typing import ClassVar

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from benchmarks.prediction.peers.history import Floats, Peer, log_runtimes

_MOST_POOLED, _MOST_RESIDUAL = 5_000, 12_000  # rows
_PROBE_SHARE = 0.1  # what all probes together weigh beside all history


class PooledBoosting(Peer):
    """Trees over both descriptions, fitted on the history with the probes weighted up, anew for each target."""

    name: ClassVar[str] = "boosted trees"

    def __init__(self, train: pd.DataFrame, side: str) -> None:
        super().__init__(train, side)
        self.columns = [*self.history.columns, *self.history.entity_columns]
        self.x, self.y = _some(self._of(train), self.history.y, _MOST_POOLED)

    def predict(self, probes: pd.DataFrame, pairs: pd.DataFrame) -> Floats | None:
        """Return runtimes [N]."""
        each = max(1.0, _PROBE_SHARE * len(self.x) / len(probes))
        weight = np.r_[np.ones(len(self.x)), np.full(len(probes), each)]
        x, y = np.vstack([self.x, self._of(probes)]), np.r_[self.y, log_runtimes(probes)]
        answer: Floats = np.exp(_trees().fit(x, y, sample_weight=weight).predict(self._of(pairs)))
        return answer

    def _of(self, rows: pd.DataFrame) -> Floats:
        return rows[self.columns].to_numpy(dtype=np.float64)


class ResidualBoosting(Peer):
    """Trees on what the additive model leaves, with its effects among the features; probes move the level after."""

    name: ClassVar[str] = "scaling + boosted trees"

    def __init__(self, train: pd.DataFrame, side: str) -> None:
        super().__init__(train, side)
        h = self.history
        self.columns = [*h.columns, *h.entity_columns]
        item, entity = h.item_effect[h.item_at], h.entity_effect[h.entity_at]
        x = np.column_stack([train[self.columns].to_numpy(dtype=np.float64), item, entity])
        self.trees = _trees().fit(*_some(x, h.y - item - entity, _MOST_RESIDUAL))

    def predict(self, probes: pd.DataFrame, pairs: pd.DataFrame) -> Floats | None:
        """Return runtimes [N]."""
        offset = self.history.offset(probes)
        left = log_runtimes(probes) - self._log(probes, offset)
        answer: Floats = np.exp(self._log(pairs, offset) + left.sum() / (len(left) + 1))
        return answer

    def _log(self, rows: pd.DataFrame, offset: float) -> Floats:
        item = self.history.item_logs(rows)
        described = rows[self.columns].to_numpy(dtype=np.float64)
        x = np.column_stack([described, item, np.full(len(rows), offset)])
        found: Floats = item + offset + self.trees.predict(x)
        return found


def _trees() -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(
        max_iter=250, learning_rate=0.06, max_leaf_nodes=31, min_samples_leaf=5, early_stopping=False, random_state=0
    )


def _some(x: Floats, y: Floats, most: int) -> tuple[Floats, Floats]:
    if len(x) <= most:
        return x, y
    chosen = np.random.default_rng(0).choice(len(x), most, replace=False)
    return x[chosen], y[chosen]
