"""What every peer starts from: the history as a matrix of ln runtimes of items on entities, with additive effects.

The entity is the side that is new in a task (one resource, or one computation); items are the other side.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.prediction.tasks import COMPUTATION, RESOURCE, RUNTIME

Floats = npt.NDArray[np.float64]
_SWEEPS = 30


class Peer(ABC):
    """A predictor: learns one history for one side, then answers for any new entity on that side from its probes."""

    name: ClassVar[str]

    def __init__(self, train: pd.DataFrame, side: str) -> None:
        self.history = History(train, side)

    @abstractmethod
    def predict(self, probes: pd.DataFrame, pairs: pd.DataFrame) -> Floats | None:
        """Return runtimes [N], or None where this peer cannot answer."""


def side_of(probes: pd.DataFrame, pairs: pd.DataFrame) -> str:
    """Return the column of the entity: the one in which probes and pairs hold a single id."""
    together = pd.concat([probes[[COMPUTATION, RESOURCE]], pairs[[COMPUTATION, RESOURCE]]])
    return COMPUTATION if together[COMPUTATION].nunique() == 1 else RESOURCE


class History:
    """Runs of I items on E entities: `logs` [I, E] with NaN where nothing ran, and its additive model."""

    def __init__(self, train: pd.DataFrame, side: str) -> None:
        self.train, self.side = train, side
        self.item = RESOURCE if side == COMPUTATION else COMPUTATION
        self.columns = _described(train, "c_" if self.item == COMPUTATION else "r_")
        self.entity_columns = _described(train, "r_" if self.item == COMPUTATION else "c_")
        self.y = np.log(train[RUNTIME].to_numpy(dtype=np.float64))
        self.item_at, items = pd.factorize(train[self.item])
        self.entity_at, entities = pd.factorize(train[side])
        self.items, self.entities = pd.Index(items), pd.Index(entities)
        self.item_effect, self.entity_effect = self._effects()
        self.features = self.of_items(train.drop_duplicates(self.item))  # [I, F]
        self.logs = self._matrix()

    def _effects(self) -> tuple[Floats, Floats]:
        """Return the effects of items [I] and entities [E] of the additive model, by alternating means."""
        item, entity = np.zeros(len(self.items)), np.zeros(len(self.entities))
        per_item, per_entity = np.bincount(self.item_at), np.bincount(self.entity_at)
        for _ in range(_SWEEPS):
            item = np.bincount(self.item_at, self.y - entity[self.entity_at]) / per_item
            entity = np.bincount(self.entity_at, self.y - item[self.item_at]) / (per_entity + 1e-2)
        return item, entity

    def _matrix(self) -> Floats:
        cells = pd.DataFrame({"item": self.item_at, "entity": self.entity_at, "y": self.y})
        median = cells.groupby(["item", "entity"])["y"].median()
        logs = np.full((len(self.items), len(self.entities)), np.nan)
        logs[median.index.get_level_values(0), median.index.get_level_values(1)] = median.to_numpy()
        return logs

    def of_items(self, rows: pd.DataFrame) -> Floats:
        """Return the features [N, F] that describe the items of these rows."""
        return rows[self.columns].to_numpy(dtype=np.float64)

    def places(self, rows: pd.DataFrame) -> npt.NDArray[np.intp]:
        """Return where each row's item is among the known ones [N], -1 for an unknown one."""
        found: npt.NDArray[np.intp] = self.items.get_indexer(rows[self.item])
        return found

    def item_logs(self, rows: pd.DataFrame) -> Floats:
        """Return the additive effect of each row's item [N]; that of an unknown item comes from its features."""
        at = self.places(rows)
        found = self.item_effect[at].copy()
        if (at < 0).any():
            found[at < 0] = ridge(self.features, self.item_effect, self.of_items(rows)[at < 0])
        return found

    def offset(self, probes: pd.DataFrame) -> float:
        """Return how much slower the probed entity is than the additive model's zero, in ln seconds."""
        return float(np.median(log_runtimes(probes) - self.item_logs(probes)))


def log_runtimes(rows: pd.DataFrame) -> Floats:
    """Return ln runtime of each row [N]."""
    logs: Floats = np.log(rows[RUNTIME].to_numpy(dtype=np.float64))
    return logs


def ridge(known: Floats, y: Floats, asked: Floats, strength: float = 1.0) -> Floats:
    """Return a ridge regression's answer at `asked` [M, F] for targets y [N] or [N, T] at `known` [N, F]."""
    centre, middle = known.mean(axis=0), y.mean(axis=0)
    x = known - centre
    weights = np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ (y - middle))
    answer: Floats = (asked - centre) @ weights + middle
    return answer


def _described(train: pd.DataFrame, prefix: str) -> list[str]:
    return [str(name) for name in train if str(name).startswith(prefix)]
