"""The quantities of an item as features of a linear kernel, each as wide as it tells known entities apart.

Columns with few values (names, flags) are left out: a target must re-weight amounts from its own probes, and few
probes cannot tell what a name is worth.
"""

from dataclasses import dataclass

import numpy as np

from dnaml.predict.paired.grid import BoolArray, FloatArray, IntArray, Members

FEWEST = 2  # quantities; with fewer every column counts as one
RIDGE = 10.0
FLOOR = 0.1  # of the mean relevance, kept by a quantity that tells nothing apart


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantities:
    """Columns [K] of an item's descriptors and their widths [K], whose mean square is one per column."""

    columns: IntArray
    widths: FloatArray

    @classmethod
    def of(cls, items: Members, rows: FloatArray) -> "Quantities":
        """Return the quantities of items by what known entities' rows [S, I] differ in."""
        told: BoolArray = items.quantities
        columns = np.flatnonzero(told) if told.sum() >= FEWEST else np.arange(items.x.shape[1])
        x = items.x[:, columns] - items.x[:, columns].mean(axis=0)
        apart = rows - rows.mean(axis=0)
        apart = apart - apart.mean(axis=1, keepdims=True)
        slopes = np.linalg.solve(x.T @ x + RIDGE * np.eye(len(columns)), x.T @ apart.T)
        relevance = (slopes**2).mean(axis=1)
        relevance = FLOOR + (1 - FLOOR) * relevance / max(float(relevance.mean() if len(columns) else 0.0), 1e-12)
        relevance /= max(float(relevance.sum()), 1e-12)
        return cls(columns=columns, widths=np.sqrt(relevance))

    def __call__(self, x: FloatArray) -> FloatArray:
        """Return features [N, K] of descriptors [N, F]; a linear kernel of them is one at a usual item."""
        features: FloatArray = x[:, self.columns] * self.widths
        return features
