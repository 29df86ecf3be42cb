"""How much of the full predictor the learned slots keep: agreement of the orders, and what a shortlist costs.

Both compare with a full matrix of what is minimised, lower better, computed pair by pair.
"""

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.dna.bank import Ranked

FloatArray = npt.NDArray[np.float64]

FEWEST = 3
"""resources that an order needs to be told"""


def order_agreement(plane: FloatArray, full: FloatArray) -> FloatArray:
    """Return Spearman's correlation [C] of the plane's scores [C, N] and the full ones, within each computation.

    NaN for a computation whose scores are constant or known on fewer than three resources; NaN cells do not count.
    """
    if plane.shape != full.shape or plane.ndim != 2:
        raise InputError(f"order_agreement: must be two [C, N], got {list(plane.shape)} and {list(full.shape)}")
    found = np.full(len(plane), np.nan)
    for row, (one, other) in enumerate(zip(plane, full, strict=True)):
        known = ~(np.isnan(one) | np.isnan(other))
        if known.sum() >= FEWEST:
            found[row] = _correlation(_mean_ranks(one[known]), _mean_ranks(other[known]))
    return found


def two_stage_regret(ranked: Ranked, full_score: FloatArray) -> float:
    """Return what the best of a shortlist costs more than the best of all, in units of ln (0.01 is 1 %).

    `full_score` [N] is the exact score of every resource, inf for those barred; zero when the best was shortlisted.
    """
    if not len(ranked.index):
        raise InputError("two_stage_regret: at least one resource must have been ranked, got none")
    return float(full_score[ranked.index[0]] - np.min(full_score))


def _mean_ranks(values: FloatArray) -> FloatArray:
    """Return ranks from 0; equal values share their mean rank."""
    rising = np.sort(values)
    first, last = np.searchsorted(rising, values, side="left"), np.searchsorted(rising, values, side="right")
    ranks: FloatArray = (first + last - 1) / 2.0
    return ranks


def _correlation(one: FloatArray, other: FloatArray) -> float:
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if size > 0 else float("nan")
