"""Trains the neural expert by episodes: some runs of a known entity are probes, the net must predict the others.

Several nets that differ by chance alone are trained as one stack (the leading axis M of every tensor is the net) and
their answers averaged. The posterior is in the loss, so loadings, noise and prior fit each other.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dnaml.predict.paired.grid import BoolArray, FloatArray, Grid
from dnaml.predict.paired.net import LEAST_LOG_PRECISION, MOST_LOG_PRECISION, Net, OneNet, Tower, encoding
from dnaml.predict.paired.sources import Sources
from dnaml.predict.paired.stacked import (
    Dropper,
    Items,
    NetSettings,
    Parameters,
    Stack,
    encode_items,
    first_parameters,
    predicted,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

FEWEST_ENTITIES = 6
MOST_ITEMS = 280  # of an episode
LARGEST = 1e3  # parameter of a net that did not diverge
LATE, SLACK = 0.9, 3.0  # the loss of the last steps may lie no further above the first one
ATTEMPTS = 4


def fit_net(
    grid: Grid, sources: Sources, use: BoolArray, *, seed: int = 0, settings: NetSettings | None = None
) -> Net | None:
    """Return a net trained on the entities marked in `use` [E], whose rows `sources` holds; None if too few."""
    if not _able(grid, use):
        return None
    stack = Stack.of(grid, sources, use, settings or NetSettings())
    chosen = stack.settings
    for attempt in range(ATTEMPTS):
        device = _device(chosen.device)
        parameters, sound = _trained(stack, seed, device)
        if sound:
            break
        chosen = replace(chosen, rate=chosen.rate / 3, rank=chosen.rank if attempt == 0 else 2)
        stack = replace(stack, settings=chosen)
    plain = {name: p.detach().cpu().double().numpy() for name, p in parameters.items()}
    return Net(nets=tuple(_frozen({name: p[m] for name, p in plain.items()}, stack) for m in range(chosen.nets)))


def _able(grid: Grid, use: BoolArray) -> bool:
    """Return whether these entities can teach a net: enough of them with two items or more."""
    return int((grid.known[use].sum(axis=1) >= 2).sum()) >= FEWEST_ENTITIES


def _device(asked: str) -> "torch.device":
    import torch

    return torch.device(asked if asked != "auto" else "cuda" if torch.cuda.is_available() else "cpu")


def _trained(stack: Stack, seed: int, device: "torch.device") -> tuple[Parameters, bool]:
    """Return trained parameters, and whether every net learnt something and none ran away."""
    import torch

    s, threads = stack.settings, torch.get_num_threads()
    torch.set_num_threads(1)
    first = first_parameters(stack, seed, device)
    flat = torch.cat([p.flatten(1) for p in first.values()], dim=1).requires_grad_()  # one tensor: one update a step
    optimiser = torch.optim.AdamW([flat], lr=s.rate, weight_decay=s.decay, betas=(0.9, 0.99))
    episodes, losses = _Episodes(stack, seed, device), []
    for step in range(s.steps):
        for group in optimiser.param_groups:
            group["lr"] = s.rate * _one_cycle(step / s.steps)
        loss = episodes.loss(_named(flat, first))
        optimiser.zero_grad(set_to_none=True)
        loss.sum().backward()  # type: ignore[no-untyped-call]
        assert flat.grad is not None
        _clip(flat.grad, torch.isfinite(loss.detach()))
        optimiser.step()
        losses.append(loss.detach())
    torch.set_num_threads(threads)
    late = torch.stack(losses[int(LATE * s.steps) :]).mean(dim=0)
    sound = bool((late <= losses[0] + SLACK).all()) and bool((flat.abs() < LARGEST).all())
    return _named(flat, first), sound


def _named(flat: "Tensor", like: Parameters) -> Parameters:
    """Return views of a flat tensor [M, P] by the names and shapes of other parameters."""
    parts = flat.split([p[0].numel() for p in like.values()], dim=1)  # type: ignore[no-untyped-call]
    return {name: part.view(p.shape) for (name, p), part in zip(like.items(), parts, strict=True)}


def _one_cycle(share: float) -> float:
    """Return the share of the highest rate: up from a 25th over 30 % of the steps, then down to nothing."""
    if share < 0.3:
        return 0.04 + 0.96 * 0.5 * (1 - float(np.cos(np.pi * share / 0.3)))
    return 0.5 * (1 + float(np.cos(np.pi * (share - 0.3) / 0.7)))


def _clip(gradient: "Tensor", finite: "Tensor") -> None:
    """Shorten each net's gradient [M, P] to length 1; a net whose loss is not finite stays where it is."""
    import torch

    length = gradient.norm(dim=1, keepdim=True)
    usable = finite[:, None] & torch.isfinite(length)
    gradient.copy_(torch.where(usable, gradient / length.clamp(min=1.0), 0.0))


class _Episodes:
    """Draws episodes and returns each net's loss on one."""

    def __init__(self, stack: Stack, seed: int, device: "torch.device") -> None:
        import torch

        def tensor(values: FloatArray | BoolArray) -> "Tensor":
            return torch.tensor(values, dtype=torch.float32, device=device)

        self.stack, self.device = stack, device
        self.draw = torch.Generator(device).manual_seed(seed + 1)
        self.known, self.item_x = tensor(stack.known), tensor(stack.item_x)
        self.entity_x, self.telemetry = tensor(stack.entity_x), tensor(stack.telemetry)
        self.scores, self.scores_unseen = tensor(stack.scores), tensor(stack.scores_unseen)
        self.y, self.seen = tensor(stack.y), tensor(stack.seen)
        self.shift = tensor((stack.effect - stack.effect_unseen) / stack.scale)
        per_entity = np.median(stack.known[stack.entities].sum(axis=1))
        most = int(max(1, min(stack.settings.most_probes, 0.55 * per_entity)))
        self.counts = torch.tensor(np.unique(np.round(np.geomspace(1, most, 11)).astype(int)), device=device)
        self.pool = torch.tensor(stack.entities, device=device)

    def loss(self, parameters: Parameters) -> "Tensor":
        """Return each net's loss [M] on one episode."""
        import torch

        s, m = self.stack.settings, self.stack.settings.nets
        drop = Dropper(s.drop_share, self.draw)
        entity = self._entities()
        items, chosen, y = self._items(parameters, entity)
        known = self.known[entity][:, :, chosen]
        partner = torch.roll(entity, 1, dims=1)
        mix = 0.5 * self._rand(m, entity.shape[1], 1) * (self._rand(m, entity.shape[1], 1) < s.mix_share)
        known = torch.where(mix > 0, known * torch.roll(known, 1, dims=1), known)
        y = torch.lerp(y, torch.roll(y, 1, dims=1), mix)
        probes = self._probes(known)
        any_probe = probes.amax(dim=-1, keepdim=True)
        hidden = self._rand(m, entity.shape[1], 1) > s.hide_share
        x = torch.lerp(self.entity_x[entity], self.entity_x[partner], mix)
        x = x * hidden * (self._rand(*x.shape) > s.field_share)
        telemetry = (
            torch.lerp(self.telemetry[entity], self.telemetry[partner], mix[..., None])[:, :, chosen]
            if self.telemetry.shape[2]
            else x[..., None, :0]
        )
        share = probes / probes.sum(dim=-1, keepdim=True).clamp(min=1.0)
        told = (share[..., None, :] @ telemetry)[..., 0, :] if self.telemetry.shape[2] else x[..., :0]
        described = torch.cat([x, told, any_probe], dim=-1)
        several = (probes.sum(dim=-1, keepdim=True) > 1) & (self._rand(m, entity.shape[1], 1) < 0.4)
        moved = y + 0.3 * self.stack.speed_sd * several * torch.randn(
            m, entity.shape[1], 1, generator=self.draw, device=self.device
        )
        mean, variance = predicted(parameters, items, described, moved, probes, robust=s.robust, drop=drop)
        asked = known * (1 - probes)
        return _penalty(moved - mean, variance, asked)

    def _rand(self, *shape: int) -> "Tensor":
        import torch

        return torch.rand(*shape, generator=self.draw, device=self.device)

    def _entities(self) -> "Tensor":
        """Return the entities of an episode [M, B], drawn without repeats while they last."""
        import torch

        s, members = self.stack.settings, len(self.pool)
        batch = min(s.batch, max(8, members))
        order = [torch.argsort(self._rand(s.nets, members), dim=1) for _ in range(-(-batch // members))]
        return self.pool[torch.cat(order, dim=1)[:, :batch]]

    def _items(self, parameters: Parameters, entity: "Tensor") -> tuple[Items, "Tensor", "Tensor"]:
        """Return an episode's items, their places [I] and what their effects leave of y [M, B, I]."""
        import torch

        s, m, count = self.stack.settings, self.stack.settings.nets, len(self.item_x)
        chosen = (
            torch.argsort(self._rand(count))[:MOST_ITEMS]
            if count > MOST_ITEMS
            else torch.arange(count, device=self.device)
        )
        unseen = (self._rand(m, 1) < (s.unseen_share if self.stack.can_hide else 0.0)).float()
        keep = (self._rand(m, len(chosen)) > s.forget_share) * (1 - unseen) * self.seen[chosen]
        scores = torch.lerp(self.scores[chosen], self.scores_unseen[chosen], unseen[..., None])
        items = encode_items(
            parameters,
            self.item_x[chosen].expand(m, -1, -1),
            scores,
            parameters["ids"][:, chosen] * keep[..., None],
            parameters["id_bias"][:, chosen] * keep,
        )
        y = self.y[entity][..., chosen]
        return items, chosen, y + (self.shift[chosen] * unseen)[:, None]

    def _probes(self, known: "Tensor") -> "Tensor":
        """Return which known cells [M, B, I] are probes: a random number of each entity's, one cell always asked."""
        import torch

        shape = known.shape[:2]
        some = self.counts[torch.randint(len(self.counts), shape, generator=self.draw, device=self.device)]
        some = some * (self._rand(*shape) > self.stack.settings.no_probes_share)
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


def _frozen(p: dict[str, FloatArray], stack: Stack) -> OneNet:
    """Return one net of a stack as plain arrays."""
    item, entity = (Tower(**{part: p[f"{name}.{part}"] for part in Tower.__slots__}) for name in ("item", "entity"))
    ids, id_bias = p["ids"] * stack.seen[:, None], p["id_bias"] * stack.seen
    inputs = np.concatenate([stack.item_x, stack.scores, ids], axis=1)
    return OneNet(
        scale=stack.scale,
        offset=stack.offset,
        known=stack.seen,
        profile=stack.profile,
        ids=ids,
        id_bias=id_bias,
        item=item,
        skip=p["skip"],
        entity=entity,
        precision=np.exp(np.clip(p["precision"], LEAST_LOG_PRECISION, MOST_LOG_PRECISION)),
        tails=p["tails"],
        encoded=encoding(item(inputs), stack.scores @ p["skip"], id_bias),
    )
