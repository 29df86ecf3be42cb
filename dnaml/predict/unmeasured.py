"""Pairs of a run table of which nothing ran: the physical bound, else the speed that the specs suggest."""

from typing import TYPE_CHECKING

import numpy as np

from dnaml.datasets.table import feature_columns
from dnaml.predict.bound import bound_s, log_speed
from dnaml.predict.outcomes import NORMAL, FloatArray

if TYPE_CHECKING:
    import pandas as pd

EFFICIENCY_LOG, BOUND_SD = 0.7, 1.0  # a run takes about twice its bound, within a factor of e
UNKNOWN_SD = 2.0


def log_quantiles(pairs: "pd.DataFrame") -> FloatArray:
    """Return quantiles [N, Q] of ln seconds at LEVELS, each row from its own features alone."""
    rows = []
    for record in pairs[feature_columns(pairs)].to_dict("records"):
        numbers = {str(k): float(v) for k, v in record.items() if isinstance(v, (int, float)) and np.isfinite(v)}
        spec = {k[2:]: v for k, v in numbers.items() if k.startswith("r_")}
        bound = bound_s({k[2:]: v for k, v in numbers.items() if k.startswith(("c_", "s_"))}, spec)
        rows.append((-log_speed(spec), UNKNOWN_SD) if bound is None else (np.log(bound) + EFFICIENCY_LOG, BOUND_SD))
    both = np.array(rows, dtype=np.float64).reshape(len(pairs), 2)
    log_values: FloatArray = both[:, :1] + both[:, 1:] * NORMAL
    return log_values
