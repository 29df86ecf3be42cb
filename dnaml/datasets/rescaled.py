"""Run tables with copies of their resources as machines that are faster or slower throughout.

A machine whose every rate is f times another's does any work in 1 / f of the time. Runs of one processor tell nothing
about that; copies say it to a predictor. They are derived, never measured: they belong into training, not into a test.
"""

from typing import TYPE_CHECKING

import numpy as np

from dnaml.core.errors import InputError
from dnaml.datasets.table import RunTable

if TYPE_CHECKING:
    import pandas as pd

_RATES = ("_per_s", "_hz")
_SECONDS = "_s"
_KEEPS = ("r_startup_s", "r_latency_s")  # of the system around the processor


def rescaled(table: RunTable, copies: int, *, reach: float = 4.0, originals: bool = True, seed: int = 0) -> RunTable:
    """Return the table with `copies` more of each resource, each faster by its own factor in [1 / reach, reach].

    Factors are drawn evenly in ln. `group` names the resource that was measured, so that no validation parts the two.
    Without `originals` the copies stand alone: a table no larger than before that tells how runtimes follow speed.
    """
    if copies < 0 or reach < 1:
        raise InputError(f"copies must be at least 0 and reach at least 1, got {copies} and {reach}")
    if copies == 0 or len(table) == 0:
        return table
    import pandas as pd

    rng = np.random.default_rng(seed)
    own = table.frame["resource_id"].astype(str)
    whole = table.frame.assign(group=own)
    names = sorted(set(own))
    parts = [whole] if originals else []
    for _ in range(copies):
        drawn = dict(zip(names, np.exp(rng.uniform(-1, 1, len(names)) * np.log(reach)), strict=True))
        parts.append(_scaled(whole, own.map(drawn)))
    return RunTable(frame=pd.concat(parts, ignore_index=True), set_aside=table.set_aside)


def _scaled(frame: "pd.DataFrame", factor: "pd.Series[float]") -> "pd.DataFrame":
    """Return runs as they would have been on machines faster by a factor [N]."""
    made = frame.copy()
    made["resource_id"] = frame["resource_id"] + factor.map(" x{:.3f}".format)
    for name in map(str, frame.columns):
        if name == "runtime_s" or (name.startswith("t_") and name.endswith(_SECONDS)):
            made[name] = frame[name] / factor
        elif name.startswith("r_") and name.endswith(_RATES):
            made[name] = frame[name] * factor
        elif name.startswith("r_") and name.endswith(_SECONDS) and name not in _KEEPS:
            made[name] = frame[name] / factor
    return made
