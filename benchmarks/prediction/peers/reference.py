"""Boosted trees that tell a new computation's time on every machine from its one run on a reference machine.

They are told the machine, how long the reference run took and, where the table has it, its telemetry.
"""

from typing import ClassVar

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from benchmarks.prediction.clouds import REFERENCE
from benchmarks.prediction.peers.history import Floats, Peer
from benchmarks.prediction.tasks import COMPUTATION, RESOURCE, RUNTIME


class FromReference(Peer):
    """Trees on ln(runtime / runtime on the reference)."""

    name: ClassVar[str] = "trees from the reference run"

    def __init__(self, train: pd.DataFrame, side: str) -> None:
        super().__init__(train, side)
        self.specs = [str(name) for name in train if str(name).startswith("r_")]
        self.telemetry = [str(name) for name in train if str(name).startswith("t_")]
        self.machines = pd.Index(train[RESOURCE].unique())
        rows = train[train[RESOURCE] != REFERENCE]
        references = train[train[RESOURCE] == REFERENCE].set_index(COMPUTATION).loc[rows[COMPUTATION]]
        target = np.log(rows[RUNTIME].to_numpy(dtype=np.float64)) - _logs(references)
        self.trees = HistGradientBoostingRegressor(
            max_iter=400,
            learning_rate=0.03,
            max_leaf_nodes=15,
            min_samples_leaf=20,
            max_features=0.4,
            early_stopping=False,
            random_state=0,
        ).fit(self._x(rows, references), target)

    def predict(self, probes: pd.DataFrame, pairs: pd.DataFrame) -> Floats | None:
        """Return runtimes [N] from the one probe, which ran on the reference."""
        references = probes.iloc[[0] * len(pairs)]
        answer: Floats = np.exp(_logs(references) + self.trees.predict(self._x(pairs, references)))
        return answer

    def _x(self, rows: pd.DataFrame, references: pd.DataFrame) -> Floats:
        machine = self.machines.get_indexer(rows[RESOURCE])
        seen = references[self.telemetry].to_numpy(dtype=np.float64)
        return np.column_stack([rows[self.specs].to_numpy(dtype=np.float64), machine, _logs(references), seen])


def _logs(rows: pd.DataFrame) -> Floats:
    logs: Floats = np.log(rows[RUNTIME].to_numpy(dtype=np.float64))
    return logs
