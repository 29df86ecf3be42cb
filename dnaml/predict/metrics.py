"""How good predictions are: error, coverage, sharpness, order within a computation, and the regret of the order."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def absolute_errors(truth_s: FloatArray, predicted_s: FloatArray) -> FloatArray:
    """Return |predicted - truth| / truth of each row, as a share."""
    errors: FloatArray = np.abs(predicted_s - truth_s) / truth_s
    return errors


def mdape(truth_s: FloatArray, predicted_s: FloatArray) -> float:
    """Return the median absolute error in percent."""
    return 100 * float(np.median(absolute_errors(truth_s, predicted_s)))


def mape(truth_s: FloatArray, predicted_s: FloatArray) -> float:
    """Return the mean absolute error in percent."""
    return 100 * float(np.mean(absolute_errors(truth_s, predicted_s)))


def coverage(truth_s: FloatArray, low_s: FloatArray, high_s: FloatArray) -> float:
    """Return the percentage of truths inside [low, high]."""
    return 100 * float(np.mean((truth_s >= low_s) & (truth_s <= high_s)))


def log_width(low_s: FloatArray, high_s: FloatArray) -> float:
    """Return the mean of ln(high / low): how sharp the intervals are, free of scale."""
    return float(np.mean(np.log(high_s / low_s)))


def spearman(truth: FloatArray, predicted: FloatArray) -> float:
    """Return the rank correlation; 0 when either side is constant."""
    one, other = _ranks(truth), _ranks(predicted)
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def top1_regret(truth_s: FloatArray, predicted_s: FloatArray, computation: npt.NDArray[np.str_]) -> float:
    """Return by how many percent the resource predicted best is slower than the best one, mean over computations."""
    regrets = []
    for name in np.unique(computation):
        rows = np.flatnonzero(computation == name)
        if len(rows) > 1:
            picked = truth_s[rows[np.argmin(predicted_s[rows])]]
            regrets.append(picked / truth_s[rows].min() - 1)
    return 100 * float(np.mean(regrets)) if regrets else float("nan")


def _ranks(values: FloatArray) -> FloatArray:
    """Return ranks from 0, ties at their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: FloatArray = (last - (counts + 1) / 2)[inverse]
    return ranks
