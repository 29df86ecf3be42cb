"""The forecasters that need no training: what was seen of late, smoothing, and the same bin a season ago.

Each is a point forecast with the quantiles of its own residuals around it, newer ones counting more.
"""

import math
from collections import deque
from collections.abc import Callable

import numpy as np

from dnaml.core.errors import InputError
from dnaml.predict.demand.forecaster import FloatArray, Past, weighted_quantiles
from dnaml.predict.demand.periods import found_periods

LEAST = 8
"""residuals or values before there is a forecast"""
_MOST_LOOKED = 2000


class Recent:
    """Forecasts that the bins ahead are spread as the newest ones were, whatever their order."""

    def __init__(self, *, memory: int = 168) -> None:
        self.name = f"recent {memory}"
        self._values: deque[float] = deque(maxlen=4 * memory)
        self._weights = _fading(4 * memory, memory)

    def observe(self, value: float) -> None:
        """Take in the demand of the next bin."""
        self._values.append(value)

    def forecast(self) -> FloatArray | None:
        """Return quantiles [K] at LEVELS; None before LEAST bins."""
        if len(self._values) < LEAST:
            return None
        return weighted_quantiles(np.array(self._values), self._weights[-len(self._values) :])


class Residual:
    """Forecasts a point from the past and puts its own residuals around it."""

    def __init__(self, name: str, ahead: int, point: Callable[[Past], float], *, memory: int = 500) -> None:
        if ahead < 1:
            raise InputError(f"{name}: a forecast is at least 1 bin ahead, got {ahead}")
        self.name = name
        self._ahead = ahead
        self._point = point
        self._past = Past()
        self._points: deque[float] = deque(maxlen=ahead + 1)
        self._residuals: deque[float] = deque(maxlen=2 * memory)
        self._weights = _fading(2 * memory, memory)

    def observe(self, value: float) -> None:
        """Take in the demand of the next bin."""
        self._past.append(value)
        self._points.append(self._point(self._past))
        if len(self._points) > self._ahead and self._points[0] == self._points[0]:
            self._residuals.append(value - self._points[0])

    def forecast(self) -> FloatArray | None:
        """Return quantiles [K] at LEVELS; None before LEAST residuals."""
        if len(self._residuals) < LEAST or self._points[-1] != self._points[-1]:
            return None
        spread = weighted_quantiles(np.array(self._residuals), self._weights[-len(self._residuals) :])
        quantiles: FloatArray = np.maximum(0.0, self._points[-1] + spread)
        return quantiles


def seasonal(ahead: int, season: int) -> Residual:
    """Return the forecaster that says what the bin was a season before (or the fewest seasons that are known)."""
    back = season * math.ceil(ahead / season) - ahead

    def same(past: Past) -> float:
        return float(past.values[-1 - back]) if len(past) > back else math.nan

    return Residual(f"seasonal {season}", ahead, same)


def shifted(ahead: int, season: int, share: float = 0.3) -> Residual:
    """Return the forecaster that says what the bin was a season before, shifted by how the last bins differ.

    The differences of the last bins from those a season before are smoothed: each new one counts `share`.
    """
    back = season * math.ceil(ahead / season) - ahead
    shift = 0.0

    def same(past: Past) -> float:
        nonlocal shift
        if len(past) <= season:
            return math.nan
        shift += share * (float(past.values[-1] - past.values[-1 - season]) - shift)
        return float(past.values[-1 - back]) + shift

    return Residual(f"shifted {season}", ahead, same)


class Recurring:
    """Forecasts what the bin was a period before, for the clearest period that the series has by itself.

    It looks for one again each time the past has grown by a quarter; until there is one it has no answer.
    """

    def __init__(self, ahead: int) -> None:
        self.name = "recurring"
        self._ahead = ahead
        self._past = Past()
        self._next = 4 * LEAST
        self._period = 0
        self._same: Residual | None = None

    def observe(self, value: float) -> None:
        """Take in the demand of the next bin."""
        self._past.append(value)
        if self._same is not None:
            self._same.observe(value)

    def forecast(self) -> FloatArray | None:
        """Return quantiles [K] at LEVELS; None while no period is found. It looks for a period when that is due."""
        if len(self._past) >= self._next:
            self._next = len(self._past) + max(LEAST, len(self._past) // 4)
            self._look()
        return None if self._same is None else self._same.forecast()

    def _look(self) -> None:
        newest = self._past.values[-_MOST_LOOKED:]
        period = next((one for one in found_periods(newest) if one > self._ahead), 0)
        if period == self._period:
            return
        self._period, self._same = period, None
        if period:
            self._same = seasonal(self._ahead, period)
            for value in newest.tolist():
                self._same.observe(value)


def smoothed(ahead: int, share: float) -> Residual:
    """Return exponential smoothing: each new value counts `share`; with 1 it is the last value."""
    level = math.nan

    def smooth(past: Past) -> float:
        nonlocal level
        newest = float(past.values[-1])
        level = newest if level != level else level + share * (newest - level)
        return level

    return Residual(f"smoothed {share:g}", ahead, smooth)


def damped(ahead: int, *, level_share: float = 0.4, trend_share: float = 0.1, damping: float = 0.9) -> Residual:
    """Return Holt's linear smoothing with a trend that fades (Gardner and McKenzie, 1985)."""
    level, trend = math.nan, 0.0
    reach = sum(damping**k for k in range(1, ahead + 1))

    def smooth(past: Past) -> float:
        nonlocal level, trend
        newest = float(past.values[-1])
        if level != level:
            level = newest
        before, carried = level, level + damping * trend
        level = carried + level_share * (newest - carried)
        trend = trend_share * (level - before) + (1 - trend_share) * damping * trend
        return level + reach * trend

    return Residual("damped trend", ahead, smooth)


def _fading(count: int, memory: int) -> FloatArray:
    """Return weights [count], newest last, that halve with every `memory` bins."""
    weights: FloatArray = np.power(0.5, np.arange(count - 1, -1, -1) / memory)
    return weights
