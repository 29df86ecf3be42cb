"""Intervals for a predictor that has none: split conformal on ln residuals of known entities held out of the history.

The predictor learns without a quarter of the entities, each of which is then probed and predicted like a new one.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.prediction.peers import Peer
from benchmarks.prediction.tasks import unseen

_FOLDS = 4
_MOST_ENTITIES = 24
_MOST_ROWS = 200  # of one entity, so that none rules
LEVELS = (10, 90)


def residual_interval(peer: type[Peer], train: pd.DataFrame, side: str, probe_count: int) -> tuple[float, float]:
    """Return the 10th and 90th percentile of ln(truth / prediction) over held-out entities of the history.

    An entity with too few runs for the probes gives half of them; NaN where nothing could be held out.
    """
    chance = np.random.default_rng(0)
    entities = chance.permutation(sorted(train[side].unique()))
    if len(entities) < 2:
        return np.nan, np.nan
    folds = min(_FOLDS, len(entities))
    residuals = []
    for fold in range(folds):
        held = entities[fold::folds]
        learnt = peer(train[~train[side].isin(held)], side)
        for name in held[: max(_MOST_ENTITIES // folds, 1)]:
            residuals.append(_residuals(learnt, train[train[side] == name], probe_count, chance))
    together = np.concatenate(residuals)
    if len(together) == 0:
        return np.nan, np.nan
    low, high = np.percentile(together, LEVELS)
    return float(low), float(high)


def _residuals(
    learnt: Peer, rows: pd.DataFrame, probe_count: int, chance: np.random.Generator
) -> npt.NDArray[np.float64]:
    order = chance.permutation(len(rows))
    count = min(probe_count, len(rows) // 2)
    probes, query = rows.iloc[order[:count]], rows.iloc[order[count : count + _MOST_ROWS]]
    answer = learnt.predict(probes, unseen(query)) if count else None
    if answer is None:
        return np.empty(0)
    found: npt.NDArray[np.float64] = np.log(query["runtime_s"].to_numpy(dtype=np.float64) / answer)
    return found
