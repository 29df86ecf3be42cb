"""Rows that contradict all others: a runtime in another unit, a column in another's place, a source that lies.

Runtime is taken apart into what the computation and what the resource asks for (medians in turn, which a tenth of
wrong rows hardly moves); a row that lies far outside of what is left over for the others is set aside, and so is a
source that is wrong as a rule. Who is slow is kept: only what fits neither side is not.
"""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dnaml.datasets.table import RunTable

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

SOURCE = "source"  # optional column of a run table: who sent a row
LEAST_FACTOR = 30.0  # no row nearer than this to what was expected is set aside
SPREADS = 8.0  # nor one within so many robust sds of it
LEAST_ROWS = 3  # of a computation and of a resource: with fewer, nobody can tell who is wrong
SOURCE_FACTOR, SOURCE_SPREADS = 3.0, 3.0  # a source that is off by more than both in its median row is wrong as a rule
_ROUNDS = 4
_SD_OF_MAD = 1.4826


def sound_rows(table: RunTable) -> tuple["pd.DataFrame", dict[str, int]]:
    """Return the rows that tell a runtime and fit the others, and the count of those left out by reason."""
    reasons, frame = dict(table.reasons()), table.frame
    for name in ("failed", "censored"):
        if len(frame) and frame[name].any():
            reasons[name] = int(frame[name].sum())
            frame = frame[~frame[name]]
    wrong = contradicts(frame)
    if wrong.any():
        reasons["contradicts the other runs"] = int(wrong.sum())
        frame = frame[~wrong]
    return frame, reasons


def contradicts(frame: "pd.DataFrame") -> BoolArray:
    """Return which rows [N] of a run table contradict the others."""
    if len(frame) == 0:
        return np.zeros(0, dtype=np.bool_)
    log_s = np.log(frame["runtime_s"].to_numpy(dtype=np.float64))
    computation, resource = _codes(frame["computation_id"]), _codes(frame["resource_id"])
    often = min(np.bincount(computation).max(), np.bincount(resource).max())
    if often < LEAST_ROWS and SOURCE not in frame:
        return np.zeros(len(frame), dtype=np.bool_)
    left = _left_over(log_s, computation, resource)
    spread = _SD_OF_MAD * float(np.median(np.abs(left)))
    known = (np.bincount(computation)[computation] >= LEAST_ROWS) & (np.bincount(resource)[resource] >= LEAST_ROWS)
    wrong: BoolArray = known & (np.abs(left) > max(np.log(LEAST_FACTOR), SPREADS * spread))
    if SOURCE in frame:
        sent_by = _codes(frame[SOURCE].astype(str))
        usual_off = _medians(np.abs(left), sent_by)
        wrong |= (usual_off > max(np.log(SOURCE_FACTOR), SOURCE_SPREADS * spread))[sent_by]
    return wrong


def _left_over(log_s: FloatArray, computation: npt.NDArray[np.int64], resource: npt.NDArray[np.int64]) -> FloatArray:
    """Return ln seconds [N] without the medians of the computation and of the resource, taken in turn."""
    left = log_s - np.median(log_s)
    for _ in range(_ROUNDS):
        for side in (computation, resource):
            left = left - _medians(left, side)[side]
    return left


def _medians(values: FloatArray, group: npt.NDArray[np.int64]) -> FloatArray:
    """Return the median of each group, of the groups 0 to G - 1 that all occur: [N], [N] -> [G]."""
    order = np.lexsort((values, group))
    ordered, counts = values[order], np.bincount(group)
    begin = np.concatenate([[0], np.cumsum(counts)[:-1]])
    low, high = begin + (counts - 1) // 2, begin + counts // 2
    middle: FloatArray = (ordered[low] + ordered[high]) / 2
    return middle


def _codes(names: "pd.Series[str]") -> npt.NDArray[np.int64]:
    return np.unique(names.to_numpy(dtype=str), return_inverse=True)[1]
