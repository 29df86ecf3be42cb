"""Peers that know only who ran what how long: per-machine scaling, nearest neighbours, latent factors."""

from typing import ClassVar

import numpy as np
import pandas as pd

from benchmarks.prediction.peers.history import Floats, Peer, log_runtimes

_NEIGHBOURS = 5
_RANK = 3
_SHRINKAGE = 0.3
_SWEEPS = 25
_SPEED = 3.0  # the constant beside the factors: a large one leaves the entity's own level nearly free


class Scaling(Peer):
    """One factor an entity: ln runtime is the item's effect plus the median offset of the probes."""

    name: ClassVar[str] = "scaling"

    def predict(self, probes: pd.DataFrame, pairs: pd.DataFrame) -> Floats | None:
        """Return runtimes [N]."""
        return np.exp(self.history.item_logs(pairs) + self.history.offset(probes))


class Neighbours(Peer):
    """The five known entities whose rows are nearest on the probes, each moved by its own offset."""

    name: ClassVar[str] = "nearest neighbours"

    def predict(self, probes: pd.DataFrame, pairs: pd.DataFrame) -> Floats | None:
        """Return runtimes [N]; an item that no neighbour ran is scaled."""
        history, y = self.history, log_runtimes(probes)
        asked, seen = history.places(pairs), history.places(probes)
        base = history.item_logs(pairs) + history.offset(probes)
        if (seen < 0).all() or (asked < 0).all():
            return np.exp(base)
        beside = np.where(seen[:, None] >= 0, history.logs[seen], np.nan)  # [K, E]
        both = (~np.isnan(beside)).sum(axis=0)
        usable = np.flatnonzero(both >= min(len(y), 2))
        if len(usable) == 0:
            return np.exp(base)
        difference = y[:, None] - beside[:, usable]
        offset = np.nanmean(difference, axis=0)
        distance = np.sqrt(np.nanmean((difference - offset) ** 2, axis=0))
        distance += 0.3 / both[usable] + 0.02 * np.abs(offset)
        nearest = np.argsort(distance)[:_NEIGHBOURS]
        rows = np.where(asked[:, None] >= 0, history.logs[asked][:, usable[nearest]], np.nan) + offset[nearest]
        weight = np.where(np.isnan(rows), 0.0, 1 / (distance[nearest] + 0.02) ** 2)
        total = weight.sum(axis=1)
        mean = (weight * np.nan_to_num(rows)).sum(axis=1) / np.maximum(total, 1e-9)
        return np.exp(np.where(total > 0, mean, base))


class LatentFactors(Peer):
    """Alternating least squares on what the additive model leaves; a new entity's factors come from its probes."""

    name: ClassVar[str] = "latent factors"

    def __init__(self, train: pd.DataFrame, side: str) -> None:
        super().__init__(train, side)
        h = self.history
        left = h.logs - h.item_effect[:, None] - h.entity_effect
        self.items = _factors(left, min(_RANK, min(left.shape) - 1))

    def predict(self, probes: pd.DataFrame, pairs: pd.DataFrame) -> Floats | None:
        """Return runtimes [N]; an unknown item has no factors and is scaled."""
        history = self.history
        offset = history.offset(probes)
        x, asked = self._at(probes), self._at(pairs)
        left = log_runtimes(probes) - history.item_logs(probes) - offset
        own = np.linalg.solve(x.T @ x + _SHRINKAGE * np.eye(x.shape[1]), x.T @ left)
        return np.exp(history.item_logs(pairs) + offset + asked @ own)

    def _at(self, rows: pd.DataFrame) -> Floats:
        at = self.history.places(rows)
        known = np.where(at[:, None] >= 0, self.items[at], 0.0)
        return np.column_stack([known, np.full(len(rows), _SPEED)])


def _factors(left: Floats, rank: int) -> Floats:
    """Return the factors of the items [I, rank] of a matrix [I, E] with gaps."""
    known = ~np.isnan(left)
    filled = np.where(known, left, 0.0)
    if rank < 1:
        return np.zeros((len(left), 0))
    entities = np.random.default_rng(0).normal(0, 0.1, (left.shape[1], rank))
    items = np.zeros((len(left), rank))
    for _ in range(_SWEEPS):
        items = _solved(filled, known, entities)
        entities = _solved(filled.T, known.T, items)
    return items


def _solved(filled: Floats, known: Floats, other: Floats) -> Floats:
    """Return the ridge solution of each row for the factors of the other side."""
    gram = np.einsum("ne,er,es->nrs", known.astype(np.float64), other, other, optimize=True)
    gram += _SHRINKAGE * np.eye(other.shape[1])
    solved: Floats = np.linalg.solve(gram, (filled @ other)[:, :, None])[:, :, 0]
    return solved
