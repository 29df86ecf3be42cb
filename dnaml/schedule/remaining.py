"""What is left of a runtime that has not ended yet: its predicted quantiles conditional on the time elapsed.

Distributions are passed on as equally likely times, [N] in rising order: means, probabilities and minima of them are
plain averages. Beyond the highest predicted level the tail is a power law through the last two levels, so that the
longer a run has gone on after that, the longer it is expected to go on.
"""

import numpy as np

from dnaml.core.plan import FloatArray

LIKELY = 64
"""equally likely times that stand for a distribution"""
_HEAVIEST = 0.7  # largest exponent of the tail: its mean must exist, and one outlier must not rule it


def runtimes_s(levels: FloatArray, values_s: FloatArray, shares: FloatArray) -> FloatArray:
    """Return the runtimes [N] at these shares of the distribution, given its quantiles; levels [Q], values_s [Q]."""
    levels, values = np.asarray(levels, dtype=float), np.asarray(values_s, dtype=float)
    first_s = values[0]
    if len(levels) > 1:
        first_s = max(0.0, values[0] - (values[1] - values[0]) * levels[0] / (levels[1] - levels[0]))
    inside = np.interp(shares, np.append(0.0, levels), np.append(first_s, values))
    beyond = ((1 - levels[-1]) / np.maximum(1 - shares, 1e-12)) ** _tail_exponent(levels, values)
    found: FloatArray = np.where(shares > levels[-1], values[-1] * beyond, inside)
    return found


def _tail_exponent(levels: FloatArray, values: FloatArray) -> float:
    """Return alpha of `T(q) ~ (1 - q)^-alpha` through the last two quantiles; 0 where the tail is not known."""
    if len(levels) < 2 or values[-2] <= 0 or levels[-1] >= 1:
        return 0.0
    rise = np.log(values[-1] / values[-2])
    return float(min(_HEAVIEST, rise / np.log((1 - levels[-2]) / (1 - levels[-1]))))


def share_done(levels: FloatArray, values_s: FloatArray, elapsed_s: float) -> float:
    """Return the probability that the run would have ended by now: the inverse of `runtimes_s`."""
    levels, values = np.asarray(levels, dtype=float), np.asarray(values_s, dtype=float)
    if elapsed_s >= values[-1]:
        alpha = _tail_exponent(levels, values)
        if alpha <= 0:
            return float(levels[-1])
        return float(1 - (1 - levels[-1]) * (values[-1] / elapsed_s) ** (1 / alpha))
    first_s = float(runtimes_s(levels, values, np.zeros(1))[0])
    return float(np.interp(elapsed_s, np.append(first_s, values), np.append(0.0, levels)))


def remaining_s(levels: FloatArray, values_s: FloatArray, elapsed_s: float = 0.0, *, count: int = LIKELY) -> FloatArray:
    """Return `count` equally likely remaining times of a run that has not ended after `elapsed_s`, rising.

    A run beyond a distribution that has no tail is about to end: its remaining times are 0.
    """
    parts = (np.arange(count) + 0.5) / count
    if elapsed_s >= values_s[-1]:  # a power law cut off below is the same power law, however far out
        exponent = _tail_exponent(np.asarray(levels, dtype=float), np.asarray(values_s, dtype=float))
        beyond: FloatArray = elapsed_s * ((1 - parts) ** -exponent - 1)
        return beyond
    done = share_done(levels, values_s, elapsed_s) if elapsed_s > 0 else 0.0
    left: FloatArray = np.maximum(0.0, runtimes_s(levels, values_s, done + (1 - done) * parts) - elapsed_s)
    return left
