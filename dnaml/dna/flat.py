"""Vectors drawn flat: the two directions in which they differ most, as data that anything can plot.

Slots are standardised, so that each counts alike. A slot that fewer than half of the vectors know is left out; where
one of the others is unknown, it counts as the mean.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
LEAST_SPREAD = 1e-9
LEAST_KNOWN = 0.5  # of the vectors
LEAST_SHARE = 1e-6  # of the first direction's spread: less is rounding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flat:
    """Two directions. Shapes: slots [S] their numbers, middle and spread [S], axes [2, S], explained_share [2].

    The sign of each direction is fixed: its largest weight is positive. Vectors that do not differ give S = 0, those
    that differ in one direction alone a second one of zeros.
    """

    slots: npt.NDArray[np.int64]
    middle: FloatArray
    spread: FloatArray
    axes: FloatArray
    explained_share: FloatArray

    @classmethod
    def of(cls, vectors: FloatArray) -> Self:
        """Return the two principal directions of vectors [N, D]; NaN is unknown."""
        known = np.isfinite(vectors)
        counts = known.sum(axis=0)
        filled = np.where(known, vectors, 0.0)
        middle = filled.sum(axis=0) / np.maximum(counts, 1)
        centred = np.where(known, vectors - middle, 0.0)
        spread = np.sqrt((centred**2).sum(axis=0) / np.maximum(counts, 1))
        slots = np.flatnonzero((counts >= LEAST_KNOWN * len(vectors)) & (spread > LEAST_SPREAD))
        scaled = centred[:, slots] / spread[slots]
        axes, shares = np.zeros((2, len(slots))), np.zeros(2)
        if scaled.size:
            _, sizes, found = np.linalg.svd(scaled, full_matrices=False)
            found = found[:2][sizes[:2] > LEAST_SHARE * sizes[0]]
            largest = np.abs(found).argmax(axis=1)
            axes[: len(found)] = found * np.sign(found[np.arange(len(found)), largest])[:, None]
            shares[: len(found)] = sizes[: len(found)] ** 2 / (sizes**2).sum()
        return cls(slots=slots, middle=middle[slots], spread=spread[slots], axes=axes, explained_share=shares)

    def places(self, vectors: FloatArray) -> FloatArray:
        """Return where vectors [N, D] lie: [N, 2]."""
        scaled = (vectors[:, self.slots] - self.middle) / self.spread
        return np.asarray(np.where(np.isfinite(scaled), scaled, 0.0) @ self.axes.T, dtype=np.float64)

    def arrows(self, weights: FloatArray) -> FloatArray:
        """Return the arrow [N, 2] of each row of weights [N, D]: the weighted sum of slots rises most along it."""
        given = weights[:, self.slots]
        return np.asarray((np.where(np.isfinite(given), given, 0.0) * self.spread) @ self.axes.T, dtype=np.float64)


def plane(vectors: FloatArray) -> FloatArray:
    """Return the two principal coordinates [N, 2] of vectors [N, D]."""
    return Flat.of(vectors).places(vectors)
