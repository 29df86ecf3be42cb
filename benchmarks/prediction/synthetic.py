"""Runs that are made up but have the structure of real ones, in any number: speed, two kinds of work, taste, noise.

A resource has a clock, a width and a bandwidth; a computation has operations and bytes; each has hidden traits that no
column tells. Only speed of the predictor is measured on these, never how well it predicts.
"""

import numpy as np
import pandas as pd

from benchmarks.prediction.tasks import COMPUTATION, PRICE, RESOURCE, RUNTIME

_TRAITS = 3
_NOISE = 0.05


def table(rows: int, *, resources: int, computations: int, seed: int = 0) -> pd.DataFrame:
    """Return so many runs, every pair at most once; at most resources x computations rows."""
    chance = np.random.default_rng(seed)
    pairs = chance.choice(resources * computations, rows, replace=False)
    r, c = pairs % resources, pairs // resources
    clock, width, bandwidth, price = chance.normal(0, (0.3, 1.0, 0.6, 0.5), (resources, 4)).T
    operations, moved = chance.normal((2.0, 0.0), (1.5, 1.5), (computations, 2)).T
    likes, offers = chance.normal(0, 0.2, (computations, _TRAITS)), chance.normal(0, 0.5, (resources, _TRAITS))
    log_s = np.logaddexp(operations[c] - clock[r] - width[r], moved[c] - bandwidth[r])
    log_s += (likes[c] * offers[r]).sum(axis=1) + chance.normal(0, _NOISE, rows)
    return pd.DataFrame(
        {
            RESOURCE: [f"r{at}" for at in r],
            COMPUTATION: [f"c{at}" for at in c],
            RUNTIME: np.exp(log_s),
            PRICE: np.exp(price[r] + 0.5 * width[r]) / 3600,
            "r_clock_log2": clock[r],
            "r_width_log2": width[r],
            "r_bandwidth_log2": bandwidth[r],
            "r_kind": np.where(width[r] > 0, "wide", "narrow"),
            "c_operations_log2": operations[c],
            "c_moved_log2": moved[c],
            "c_kernel": [f"kernel{at % 12}" for at in c],
        }
    )
