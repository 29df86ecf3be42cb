"""Ernest: a new computation's own curve over the number of nodes or cores, from its probes alone."""

from typing import ClassVar

import numpy as np
import pandas as pd

from benchmarks.prediction.peers.history import Floats, Peer
from benchmarks.prediction.tasks import COMPUTATION, RUNTIME


class Ernest(Peer):
    """Non-negative least squares of the relative error on 1, size/m, ln m and m (Venkataraman et al., NSDI 2016)."""

    name: ClassVar[str] = "Ernest"

    def predict(self, probes: pd.DataFrame, pairs: pd.DataFrame) -> Floats | None:
        """Return runtimes [N], or None without a column of nodes or cores or with fewer than two probes."""
        from scipy.optimize import nnls

        column = next((name for name in ("r_cores", "r_n") if name in pairs), None)
        if column is None or self.history.side != COMPUTATION or len(probes) < 2:
            return None
        measured = probes[RUNTIME].to_numpy(dtype=np.float64)
        known = _basis(probes, column) / measured[:, None]
        scale = np.abs(known).max(axis=0) + 1e-12
        weights, _ = nnls(known / scale, np.ones(len(measured)))
        answer: Floats = np.maximum(_basis(pairs, column) / scale @ weights, 0.05 * measured.min())
        return answer


def _basis(rows: pd.DataFrame, column: str) -> Floats:
    units = rows[column].to_numpy(dtype=np.float64)
    size = rows["c_size"].to_numpy(dtype=np.float64)
    return np.column_stack([np.ones(len(rows)), size / units, np.log(units), units])
