"""Draws episodes for a batch of nets: which entities are asked for, which of their runs are probes, what is hidden."""

from typing import TYPE_CHECKING

import numpy as np

from dnaml.predict.paired.batch import Batch
from dnaml.predict.paired.grid import BoolArray, FloatArray
from dnaml.predict.paired.stacked import Dropper, Items, Parameters, encode_items, predicted

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MOST_ITEMS = 280  # of an episode
FEWEST_BATCH = 8  # entities of an episode; of fewer some come again
SHIFT_SHARE, SHIFT = 0.4, 0.3  # of entities with probes that are made faster or slower, and by how much of their spread


class Episodes:
    """Draws episodes and returns each net's loss on one."""

    def __init__(self, batch: Batch, seed: int, device: "torch.device") -> None:
        import torch

        def tensor(values: FloatArray | BoolArray) -> "Tensor":
            return torch.tensor(values, dtype=torch.float32, device=device)

        self.settings, self.device, self.nets = batch.settings, device, batch.nets
        self.draw = torch.Generator(device).manual_seed(seed + 1)
        self.owner = torch.tensor(batch.owner, device=device)
        self.known, self.item_x, self.y = tensor(batch.known), tensor(batch.item_x), tensor(batch.y)
        self.entity_x, self.telemetry = tensor(batch.entity_x), tensor(batch.telemetry)
        own = self.owner
        self.scores, self.scores_unseen = tensor(batch.scores)[own], tensor(batch.scores_unseen)[own]
        self.seen, self.shift = tensor(batch.seen)[own], tensor(batch.shift)[own]
        self.speed_sd = SHIFT * tensor(batch.speed_sd)[own][:, None, None]
        self.unseen_share = batch.settings.unseen_share * tensor(batch.can_hide)[own][:, None]
        self.counts = torch.tensor(np.unique(np.round(np.geomspace(1, batch.most_probes, 11)).astype(int)))
        self.counts = self.counts.to(device)
        self.absent = 2.0 * (1.0 - tensor(batch.pool)[own])
        self.members = torch.tensor(batch.pool.sum(axis=1), device=device)[own][:, None]
        self.size = min(batch.settings.batch, max(FEWEST_BATCH, int(batch.pool.sum(axis=1).max())))

    def loss(self, parameters: Parameters) -> "Tensor":
        """Return each net's loss [M] on one episode."""
        import torch

        s = self.settings
        entity = self._entities()
        items, chosen, y, known = self._items(parameters, entity)
        x, mix = self.entity_x[entity], None
        if s.mix_share > 0:
            mix = 0.5 * self._rand(*entity.shape, 1) * (self._rand(*entity.shape, 1) < s.mix_share)
            known = torch.where(mix > 0, known * torch.roll(known, 1, dims=1), known)
            y = torch.lerp(y, torch.roll(y, 1, dims=1), mix)
            x = torch.lerp(x, torch.roll(x, 1, dims=1), mix)
        probes = self._probes(known)
        hidden = self._rand(*entity.shape, 1) > s.hide_share
        parts = [x * hidden * (self._rand(*x.shape) > s.field_share)]
        if self.telemetry.shape[2]:
            parts.append(self._told(entity, chosen, probes, mix))
        described = torch.cat([*parts, probes.amax(dim=-1, keepdim=True)], dim=-1)
        several = (probes.sum(dim=-1, keepdim=True) > 1) & (self._rand(*entity.shape, 1) < SHIFT_SHARE)
        y = y + self.speed_sd * several * torch.randn(*entity.shape, 1, generator=self.draw, device=self.device)
        drop = Dropper(s.drop_share, self.draw)
        mean, variance = predicted(parameters, items, described, y, probes, robust=s.robust, drop=drop)
        return _penalty(y - mean, variance, known - probes)

    def _rand(self, *shape: int) -> "Tensor":
        import torch

        return torch.rand(*shape, generator=self.draw, device=self.device)

    def _entities(self) -> "Tensor":
        """Return the entities of an episode [M, B], drawn without repeats while they last."""
        import torch

        order = torch.argsort(self._rand(*self.absent.shape) + self.absent, dim=1)
        return torch.gather(order, 1, torch.arange(self.size, device=self.device) % self.members)

    def _items(self, parameters: Parameters, entity: "Tensor") -> tuple[Items, "Tensor", "Tensor", "Tensor"]:
        """Return an episode's items, their places [I], what their effects leave of y, and what ran [M, B, I]."""
        import torch

        s, m, count = self.settings, self.nets, len(self.item_x)
        chosen = torch.arange(count, device=self.device)
        if count > MOST_ITEMS:
            chosen = torch.argsort(self._rand(count))[:MOST_ITEMS]
        unseen = (self._rand(m, 1) < self.unseen_share).float()
        keep = (self._rand(m, len(chosen)) > s.forget_share) * (1 - unseen) * self.seen[:, chosen]
        items = encode_items(
            parameters,
            self.item_x[chosen].expand(m, -1, -1),
            torch.lerp(self.scores[:, chosen], self.scores_unseen[:, chosen], unseen[..., None]),
            parameters["ids"][:, chosen] * keep[..., None],
            parameters["id_bias"][:, chosen] * keep,
        )
        y = self.y[self.owner[:, None], entity]
        known = self.known[self.owner[:, None], entity]
        if count > MOST_ITEMS:
            y, known = y[..., chosen], known[..., chosen]
        return items, chosen, y + (self.shift[:, chosen] * unseen)[:, None], known

    def _told(self, entity: "Tensor", chosen: "Tensor", probes: "Tensor", mix: "Tensor | None") -> "Tensor":
        """Return the mean telemetry [M, B, T] of each entity's probes."""
        import torch

        telemetry = self.telemetry[entity[..., None], chosen]
        if mix is not None:
            telemetry = torch.lerp(telemetry, torch.roll(telemetry, 1, dims=1), mix[..., None])
        share = probes / probes.sum(dim=-1, keepdim=True).clamp(min=1.0)
        return (share[..., None, :] @ telemetry)[..., 0, :]

    def _probes(self, known: "Tensor") -> "Tensor":
        """Return which known cells [M, B, I] are probes: a random number of each entity's, one cell always asked."""
        import torch

        shape = known.shape[:2]
        some = self.counts[torch.randint(len(self.counts), shape, generator=self.draw, device=self.device)]
        some = some * (self._rand(*shape) > self.settings.no_probes_share)
        some = torch.minimum(some, known.sum(dim=-1).long() - 1).clamp(min=0)
        order = self._rand(*known.shape) + 2 * (1 - known)
        cut = order.sort(dim=-1)[0].gather(-1, some[..., None])
        return (order < cut).float()


def _penalty(error: "Tensor", variance: "Tensor", asked: "Tensor") -> "Tensor":
    """Return each net's mean loss [M]: Student-t likelihood with three degrees of freedom, and Huber."""
    import torch

    size = error.abs()
    huber = torch.where(size < 0.1, 5 * size**2, size - 0.05)
    loss = 0.5 * torch.log(variance) + 2 * torch.log1p(error**2 / (3 * variance)) + 0.5 * huber
    return (loss * asked).sum(dim=(1, 2)) / asked.sum(dim=(1, 2)).clamp(min=1.0)
