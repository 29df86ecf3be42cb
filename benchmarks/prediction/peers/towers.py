"""Two towers: a network for items and one for entities, each with learned vectors, whose product is ln runtime.

A new entity starts from the known ones whose rows fit its probes best, and its vector alone is then tuned on them.
"""

from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks.prediction.peers.history import Floats, History, Peer, log_runtimes

_WIDTH, _LENGTH = 96, 16
_TUNING_STEPS = 200
_DROPPED = 0.3  # share of rows that hide which item they are, so that an unknown item has a vector too


class TwoTowers(Peer):
    """The network, trained once a history; one vector is tuned for each target."""

    name: ClassVar[str] = "two towers"
    steps: ClassVar[int] = 1_600

    def __init__(self, train: pd.DataFrame, side: str) -> None:
        super().__init__(train, side)
        torch.manual_seed(0)
        torch.set_num_threads(1)
        self.middle, self.spread = float(self.history.y.mean()), float(self.history.y.std()) + 1e-6
        self.items = _Scaler(self.history.features)
        described = train.drop_duplicates(side)[self.history.entity_columns].to_numpy(dtype=np.float64)
        self.entities = _Scaler(described)
        self.net = _Net(self.history, self.entities.of(described))
        self._train()

    def _train(self) -> None:
        history = self.history
        x = self.items.of(history.of_items(history.train))
        item, entity = torch.as_tensor(history.item_at), torch.as_tensor(history.entity_at)
        y = torch.as_tensor((history.y - self.middle) / self.spread, dtype=torch.float32)
        batch = min(len(y), max(256, len(y) // 8))
        free = [self.net.item_vectors.weight, self.net.entity_vectors.weight]
        shared = [*self.net.of_item.parameters(), *self.net.of_entity.parameters()]
        groups = [{"params": shared, "weight_decay": 1e-3}, {"params": free, "weight_decay": 3e-2}]
        optimiser = torch.optim.AdamW(groups, lr=3e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, total_steps=self.steps)
        for _ in range(self.steps):
            rows = torch.randint(len(y), (batch,))
            hidden = torch.where(torch.rand(batch) < _DROPPED, len(history.items), item[rows])
            answer = _product(self.net.item(x[rows], hidden), self.net.entity(entity[rows]))
            loss = nn.functional.smooth_l1_loss(answer, y[rows], beta=0.1)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()

    @torch.no_grad()
    def _items(self, rows: pd.DataFrame) -> Tensor:
        at = self.history.places(rows)
        at = np.where(at < 0, len(self.history.items), at)
        found: Tensor = self.net.item(self.items.of(self.history.of_items(rows)), torch.as_tensor(at))
        return found

    def predict(self, probes: pd.DataFrame, pairs: pd.DataFrame) -> Floats | None:
        """Return runtimes [N]."""
        seen, y = self._items(probes), (log_runtimes(probes) - self.middle) / self.spread
        vector = self._tuned(seen, torch.as_tensor(y, dtype=torch.float32))
        with torch.no_grad():
            answer = _product(self._items(pairs), vector).numpy().astype(np.float64)
        return np.exp(answer * self.spread + self.middle)

    def _tuned(self, seen: Tensor, y: Tensor) -> Tensor:
        """Return the vector of the entity that was probed."""
        with torch.no_grad():
            known = self.net.entity(torch.arange(len(self.history.entities)))  # [E, 1 + L]
            left = y[:, None] - (seen[:, :1] + known[:, 0] + seen[:, 1:] @ known[:, 1:].T)  # [K, E]
            offset = left.mean(dim=0)
            distance = ((left - offset) ** 2).mean(dim=0) + 0.002 * offset**2
            nearest = torch.topk(-distance, min(3, len(distance))).indices
            weight = torch.softmax(-distance[nearest] / (distance[nearest].min() + 1e-4), 0)
            start = (known[nearest] * weight[:, None]).sum(dim=0)
            start[0] += (offset[nearest] * weight).sum()
        vector = start.clone().requires_grad_(True)
        optimiser = torch.optim.Adam([vector], lr=1e-2)
        for _ in range(_TUNING_STEPS):
            near = ((vector[1:] - start[1:]) ** 2).sum()
            loss = ((_product(seen, vector) - y) ** 2).sum() + 0.05 * near
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
        return vector.detach()


class _Scaler:
    """Makes features of mean 0 and spread 1 over the known ones."""

    def __init__(self, known: Floats) -> None:
        self.mean = known.mean(axis=0)
        spread = known.std(axis=0)
        self.spread = np.where(spread < 1e-3, 1.0, spread)

    def of(self, features: Floats) -> Tensor:
        return torch.as_tensor((features - self.mean) / self.spread, dtype=torch.float32)


class _Net(nn.Module):
    """Vectors [1 + L] of items and entities: from their features, plus one of their own; the first is a level."""

    def __init__(self, history: History, entities: Tensor) -> None:
        super().__init__()
        length = _LENGTH + 1
        self.described = entities  # [E, F]
        self.of_item = nn.Sequential(
            *(nn.Linear(history.features.shape[1], _WIDTH), nn.SiLU(), nn.Linear(_WIDTH, _WIDTH), nn.SiLU()),
            nn.Linear(_WIDTH, length),
        )
        self.of_entity = nn.Sequential(
            nn.Linear(entities.shape[1], _WIDTH // 2), nn.SiLU(), nn.Linear(_WIDTH // 2, length)
        )
        self.item_vectors = nn.Embedding(len(history.items) + 1, length)
        self.entity_vectors = nn.Embedding(len(history.entities), length)
        nn.init.normal_(self.item_vectors.weight, 0, 0.01)
        nn.init.normal_(self.entity_vectors.weight, 0, 0.1)

    def item(self, features: Tensor, at: Tensor) -> Tensor:
        found: Tensor = self.of_item(features) + self.item_vectors(at)
        return found

    def entity(self, at: Tensor) -> Tensor:
        found: Tensor = self.of_entity(self.described[at]) + self.entity_vectors(at)
        return found


def _product(items: Tensor, entities: Tensor) -> Tensor:
    """Return the answer [N] of item vectors [N, 1 + L] and entity vectors [N, 1 + L] or one of them."""
    return items[:, 0] + entities[..., 0] + (items[:, 1:] * entities[..., 1:]).sum(dim=1)
