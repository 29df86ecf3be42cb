"""The periods that a series has by itself: peaks of the autocorrelation of what stands out of its running median."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dnaml.predict.demand.forecaster import FloatArray

WINDOW = 16
SHORTEST = 6
MOST = 2
_LEAST = 0.12
"""autocorrelation that counts as a period, if it is above chance too"""


def found_periods(values: FloatArray, longest: int = 400) -> tuple[int, ...]:
    """Return at most MOST periods in bins, the clearest first; none of them a multiple of one before it.

    A period counts by the mean autocorrelation at itself and its double, so that it must come back.
    """
    lags = min(longest, len(values) // 3)
    if lags <= SHORTEST:
        return ()
    correlation = _autocorrelation(values, 2 * lags + 1)
    lag = np.arange(SHORTEST, lags)
    own, double = correlation[lag], np.maximum(correlation[2 * lag], correlation[2 * lag - 1])
    score = np.where(double > 0, (own + double) / 2, 0.0)
    score[(correlation[lag - 1] > own) | (correlation[lag + 1] > own)] = 0.0
    least = max(_LEAST, 3 / np.sqrt(len(values)))
    periods: list[int] = []
    for place in np.argsort(-score, kind="stable"):
        if score[place] < least or len(periods) == MOST:
            break
        candidate = int(lag[place])
        if not any(_multiple(candidate, known) for known in periods):
            periods.append(_fundamental(candidate, correlation, score[place]))
    return tuple(dict.fromkeys(periods))


def _autocorrelation(values: FloatArray, lags: int) -> FloatArray:
    padded = np.concatenate([np.full(WINDOW - 1, values[0]), values])
    stands_out = values - np.median(sliding_window_view(padded, WINDOW), axis=1)
    spread = stands_out.std()
    if spread == 0:
        return np.zeros(lags)
    stands_out = np.clip(stands_out, -3 * spread, 3 * spread)
    spectrum = np.fft.rfft(stands_out - stands_out.mean(), 2 * len(values))
    whole = np.fft.irfft(np.abs(spectrum) ** 2)[:lags]
    correlation: FloatArray = whole / whole[0]
    return correlation


def _multiple(candidate: int, known: int) -> bool:
    times = max(candidate, known) / min(candidate, known)
    return abs(times - round(times)) * min(candidate, known) <= 2


def _fundamental(candidate: int, correlation: FloatArray, score: float) -> int:
    """Return the shortest divisor of a period that explains it nearly as well."""
    for parts in (4, 3, 2):
        short = round(candidate / parts)
        if short >= SHORTEST and correlation[short - 1 : short + 2].max() > 0.7 * score:
            return short - 1 + int(correlation[short - 1 : short + 2].argmax())
    return candidate
