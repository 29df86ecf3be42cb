"""What a trained forecaster is shown of the past when it says a bin ahead: one row of numbers a bin."""

from dataclasses import dataclass

import numpy as np

from dnaml.predict.demand.forecaster import FloatArray, IntArray, Past

LAGS = 12
WINDOWS = (3, 6, 12, 24, 72)
_UNKNOWN = -1.0
"""what stands for a value before the first bin: demand is never negative"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Says what a row holds, for a forecast `ahead` bins ahead: the last LAGS values, means over WINDOWS, and for each
    season the bins around the same place one and two seasons before, and the place itself.

    With `relative` every value is also shown as a share of the running level, and the forecast is such a share.
    """

    ahead: int
    seasons: tuple[int, ...] = ()
    relative: bool = False

    def rows(self, past: Past, at: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return rows [A, F] of what was known at bins `at` [A], and the scale [A] that their forecasts count in."""
        values = past.values
        columns = [_at(values, at - lag) for lag in range(LAGS)]
        columns += [_mean(past, at, window) for window in WINDOWS]
        newest = np.stack(columns[:LAGS])
        columns += [newest.max(axis=0), newest.std(axis=0)]
        for season in self.seasons:
            columns += self._seasonal(past, at, season)
        scale = np.ones(len(at))
        if self.relative:
            scale = _level(past, at)
            columns = [column / scale for column in columns] + columns[:LAGS]
        for season in self.seasons:
            columns += [((at + self.ahead) % season).astype(np.float64)]
        if len(self.seasons) > 1 and self.seasons[1] % self.seasons[0] == 0:
            columns += [
                ((at + self.ahead) // self.seasons[0] % (self.seasons[1] // self.seasons[0])).astype(np.float64)
            ]
        return np.stack(columns, axis=1), scale

    def _seasonal(self, past: Past, at: IntArray, season: int) -> list[FloatArray]:
        values = past.values
        columns = []
        for back in (season - self.ahead, 2 * season - self.ahead):
            columns += [_at(values, at - back + shift, at) for shift in (-2, -1, 0, 1, 2)]
            columns += [_mean(past, at - back + 2, 5, at)]
        change = _at(values, at) - _at(values, at - season)
        past_places = np.stack([_at(values, at + self.ahead - times * season, at) for times in range(1, 6)])
        return [*columns, change, past_places.mean(axis=0), past_places.max(axis=0)]


def _at(values: FloatArray, index: IntArray, newest: IntArray | None = None) -> FloatArray:
    """Return values at bins; _UNKNOWN before the first bin and after the newest that was known."""
    known = (index >= 0) & (index < len(values))
    if newest is not None:
        known &= index <= newest
    return np.where(known, values[np.clip(index, 0, len(values) - 1)], _UNKNOWN)


def _mean(past: Past, last: IntArray, window: int, newest: IntArray | None = None) -> FloatArray:
    """Return means over the `window` bins up to `last`; _UNKNOWN where not all of them are known."""
    known = (last - window + 1 >= 0) & (last < len(past))
    if newest is not None:
        known &= last <= newest
    end = np.clip(last + 1, window, len(past)) if len(past) >= window else np.full(len(last), len(past))
    start = np.maximum(end - window, 0)
    return np.where(known, (past.sums[end] - past.sums[start]) / window, _UNKNOWN)


def _level(past: Past, at: IntArray, window: int = 48) -> FloatArray:
    """Return the running level [A]: the mean of the last bins, and a little of the whole mean lest it be 0."""
    end = at + 1
    near = (past.sums[end] - past.sums[np.maximum(end - window, 0)]) / np.minimum(end, window)
    whole = past.sums[end] / end
    level: FloatArray = near + 0.02 * whole + 1e-9 + 1e-6 * float(past.sums[-1]) / len(past)
    return level
