"""What a forecaster of demand is: it sees one value a bin, and says the quantiles of a bin some way ahead."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LEVELS: tuple[float, ...] = (
    *(0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9),
    *(0.93, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 0.998),
)
"""the quantiles [K] of every forecast; the upper tail, which decides how many machines wait, is the finest"""
MEDIAN = LEVELS.index(0.5)


class Forecaster(Protocol):
    """Learns from one value a bin and forecasts the bin `ahead` bins after the newest one."""

    @property
    def name(self) -> str:
        """Name the way of forecasting."""
        ...

    def observe(self, value: float) -> None:
        """Take in the demand of the next bin."""
        ...

    def forecast(self) -> FloatArray | None:
        """Return quantiles [K] at LEVELS, not falling and not negative; None while too little is known."""
        ...


class Past:
    """The values of all bins so far, as one array that grows."""

    def __init__(self) -> None:
        self._buffer = np.empty(256)
        self._sum = np.zeros(257)
        self._size = 0

    def __len__(self) -> int:
        """Return the number of bins."""
        return self._size

    @property
    def values(self) -> FloatArray:
        """Return the values [N], oldest first."""
        return self._buffer[: self._size]

    @property
    def sums(self) -> FloatArray:
        """Return the sums [N + 1] of the first 0, 1, ... N values."""
        return self._sum[: self._size + 1]

    def append(self, value: float) -> None:
        """Add the value of the next bin; raise InputError unless it is finite and not negative."""
        if not np.isfinite(value) or value < 0:
            raise InputError(f"demand of bin {self._size}: must be finite and not negative, got {value}")
        if self._size == len(self._buffer):
            self._buffer = np.concatenate([self._buffer, np.empty(self._size)])
            self._sum = np.concatenate([self._sum, np.zeros(self._size)])
        self._buffer[self._size] = value
        self._sum[self._size + 1] = self._sum[self._size] + value
        self._size += 1


def weighted_quantiles(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the quantiles [K] of weighted values [N], each one of the values."""
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order])
    place = np.searchsorted(share, np.array(LEVELS) * share[-1] * (1 - 1e-12))
    quantiles: FloatArray = values[order][np.minimum(place, len(values) - 1)]
    return quantiles
