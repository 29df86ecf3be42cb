"""Trains the neural expert by episodes: some runs of a known entity are probes, the net must predict the others.

Several nets (folds of held-out entities) that share a grid are trained as one stack, each on its own entities: the
leading axis M of every tensor is the net. The posterior is in the loss, so loadings, noise and prior fit each other.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dnaml.predict.paired.grid import BoolArray, FloatArray, Grid
from dnaml.predict.paired.net import LEAST_LOG_PRECISION, MOST_LOG_PRECISION, Encoding, Net, Tower, encoding
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
LATE, SLACK = 0.9, 0.5  # the loss of the last steps may lie no further above the first one
ATTEMPTS = 4


def fit_net(
    grid: Grid, sources: Sources, use: BoolArray, *, seed: int = 0, settings: NetSettings | None = None
) -> Net | None:
    """Return a net trained on the entities marked in `use` [E], whose rows `sources` holds; None if too few."""
    return fit_nets(grid, (sources,), (use,), seed=seed, settings=settings)[0]


def fit_nets(
    grid: Grid,
    sources: Sequence[Sources],
    uses: Sequence[BoolArray],
    *,
    seed: int = 0,
    settings: NetSettings | None = None,
) -> tuple[Net | None, ...]:
    """Return one net for each mask of entities, trained together."""
    settings = settings or NetSettings()
    able = [place for place, use in enumerate(uses) if _able(grid, use)]
    nets: list[Net | None] = [None] * len(uses)
    if able:
        stack = Stack.of(grid, [sources[p] for p in able], [uses[p] for p in able], settings)
        for place, net in zip(able, _trained(stack, seed), strict=True):
            nets[place] = net
    return tuple(nets)


def _able(grid: Grid, use: BoolArray) -> bool:
    """Return whether these entities can teach a net: enough of them with two items or more."""
    return int((grid.known[use].sum(axis=1) >= 2).sum()) >= FEWEST_ENTITIES


def _trained(stack: Stack, seed: int) -> list[Net]:
    """Return the nets of a stack; one that diverged is trained again, slower and with fewer loadings."""
    settings = stack.settings
    for attempt in range(ATTEMPTS):
        device = _device(settings.device)
        parameters = first_parameters(stack, seed, device)
        if _train(parameters, stack, seed, device):
            break
        settings = replace(settings, rate=settings.rate / 3, rank=settings.rank if attempt == 0 else 2)
        stack = replace(stack, settings=settings)
    plain = {name: p.detach().cpu().double().numpy() for name, p in parameters.items()}
    return [_frozen({name: p[m] for name, p in plain.items()}, stack, m) for m in range(len(stack.scale))]


def _device(asked: str) -> "torch.device":
    import torch

    return torch.device(asked if asked != "auto" else "cuda" if torch.cuda.is_available() else "cpu")


def _train(parameters: Parameters, stack: Stack, seed: int, device: "torch.device") -> bool:
    """Train the parameters in place; return whether every net learnt something and none ran away."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    s = stack.settings
    optimiser = torch.optim.AdamW(list(parameters.values()), lr=s.rate, weight_decay=s.decay, betas=(0.9, 0.99))
    episodes = _Episodes(stack, seed, device)
    first, late = None, []
    for step in range(s.steps):
        for group in optimiser.param_groups:
            group["lr"] = s.rate * _one_cycle(step / s.steps)
        loss = episodes.loss(parameters)
        optimiser.zero_grad(set_to_none=True)
        loss.sum().backward()  # type: ignore[no-untyped-call]
        _clip(parameters, torch.isfinite(loss.detach()))
        optimiser.step()
        first = loss.detach() if first is None else first
        if step >= LATE * s.steps:
            late.append(loss.detach())
    torch.set_num_threads(threads)
    learnt = first is not None and bool((torch.stack(late).mean(dim=0) <= first + SLACK).all())
    return learnt and all(bool((p.abs() < LARGEST).all()) for p in parameters.values())


def _one_cycle(share: float) -> float:
    """Return the share of the highest rate: up from a 25th over 30 % of the steps, then down to nothing."""
    if share < 0.3:
        return 0.04 + 0.96 * 0.5 * (1 - float(np.cos(np.pi * share / 0.3)))
    return 0.5 * (1 + float(np.cos(np.pi * (share - 0.3) / 0.7)))


def _clip(parameters: Parameters, finite: "Tensor") -> None:
    """Shorten each net's gradient to length 1; a net whose loss is not finite stays where it is."""
    import torch

    grads = [p.grad for p in parameters.values() if p.grad is not None]
    length = torch.stack([g.flatten(1).square().sum(dim=1) for g in grads]).sum(dim=0).sqrt()
    finite = finite & torch.isfinite(length)
    factor = 1.0 / length.clamp(min=1.0)
    for g in grads:
        shape = (-1,) + (1,) * (g.dim() - 1)
        g.copy_(torch.where(finite.view(shape), g * factor.view(shape), 0.0))


class _Episodes:
    """Draws episodes and returns each net's loss on one."""

    def __init__(self, stack: Stack, seed: int, device: "torch.device") -> None:
        import torch

        def tensor(values: FloatArray | BoolArray) -> "Tensor":
            return torch.tensor(values, dtype=torch.float32, device=device)

        self.stack, self.device = stack, device
        self.rng = np.random.default_rng(seed)
        self.draw = torch.Generator(device).manual_seed(seed + 1)
        self.known, self.item_x = tensor(stack.known), tensor(stack.item_x)
        self.entity_x, self.telemetry = tensor(stack.entity_x), tensor(stack.telemetry)
        self.scores, self.scores_unseen = tensor(stack.scores), tensor(stack.scores_unseen)
        scale = stack.scale[:, None, None]
        self.y = tensor((stack.y[None] - stack.effect[:, None]) / scale)  # [M, E, I]
        self.shift = tensor((stack.effect - stack.effect_unseen) / stack.scale[:, None])  # [M, I]
        self.seen, self.speed_sd = tensor(stack.seen), tensor(stack.speed_sd)[:, None, None]
        per_entity = np.median(stack.known[stack.entities[0]].sum(axis=1))
        most = int(max(1, min(stack.settings.most_probes, 0.55 * per_entity)))
        self.counts = torch.tensor(np.unique(np.round(np.geomspace(1, most, 11)).astype(int)), device=device)
        self.pools = [torch.tensor(members, device=device) for members in stack.entities]

    def loss(self, parameters: Parameters) -> "Tensor":
        """Return each net's loss [M] on one episode."""
        import torch

        s, m = self.stack.settings, len(self.pools)
        drop = Dropper(s.drop_share, self.draw)
        entity = self._entities()
        items, chosen, y = self._items(parameters, entity)
        known = self.known[entity][:, :, chosen]
        probes = self._probes(known)
        any_probe = probes.amax(dim=-1, keepdim=True)
        hidden = self._rand(m, entity.shape[1], 1) > s.hide_share
        x = self.entity_x[entity]
        x = x * hidden * (self._rand(*x.shape) > s.field_share)
        telemetry = self.telemetry[entity][:, :, chosen] if self.telemetry.shape[2] else x[..., None, :0]
        share = probes / probes.sum(dim=-1, keepdim=True).clamp(min=1.0)
        told = (share[..., None, :] @ telemetry)[..., 0, :] if self.telemetry.shape[2] else x[..., :0]
        described = torch.cat([x, told, any_probe], dim=-1)
        several = (probes.sum(dim=-1, keepdim=True) > 1) & (self._rand(m, entity.shape[1], 1) < 0.4)
        moved = y + 0.3 * self.speed_sd * several * torch.randn(
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

        batch = min(self.stack.settings.batch, max(8, min(len(pool) for pool in self.pools)))
        drawn = []
        for pool in self.pools:
            rounds = -(-batch // len(pool))
            order = torch.cat([torch.argsort(self._rand(len(pool))) for _ in range(rounds)])
            drawn.append(pool[order[:batch]])
        return torch.stack(drawn)

    def _items(self, parameters: Parameters, entity: "Tensor") -> tuple[Items, "Tensor", "Tensor"]:
        """Return an episode's items, their places [I] and what their effects leave of y [M, B, I]."""
        import torch

        s, m, count = self.stack.settings, len(self.pools), len(self.item_x)
        chosen = (
            torch.argsort(self._rand(count))[:MOST_ITEMS]
            if count > MOST_ITEMS
            else torch.arange(count, device=self.device)
        )
        unseen = (self._rand(m, 1) < (s.unseen_share if self.stack.can_hide else 0.0)).float()
        keep = (self._rand(m, len(chosen)) > s.forget_share) * (1 - unseen) * self.seen[:, chosen]
        scores = torch.lerp(self.scores[:, chosen], self.scores_unseen[:, chosen], unseen[..., None])
        items = encode_items(
            parameters,
            self.item_x[chosen].expand(m, -1, -1),
            scores,
            parameters["ids"][:, chosen] * keep[..., None],
            parameters["id_bias"][:, chosen] * keep,
        )
        y = torch.take_along_dim(self.y, entity[..., None], dim=1)[:, :, chosen]
        return items, chosen, y + (self.shift[:, chosen] * unseen)[:, None]

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


def _frozen(p: dict[str, FloatArray], stack: Stack, m: int) -> Net:
    """Return one net of a stack as plain arrays."""
    towers: dict[str, Any] = {
        name: Tower(**{part: p[f"{name}.{part}"] for part in Tower.__slots__}) for name in ("item", "entity")
    }
    keep = stack.seen[m].astype(np.float64)
    inputs = np.concatenate([stack.item_x, stack.scores[m], p["ids"] * keep[:, None]], axis=1)
    known: Encoding = encoding(towers["item"](inputs), stack.scores[m] @ p["skip"], p["id_bias"] * keep)
    return Net(
        scale=float(stack.scale[m]),
        offset=float(stack.offset[m]),
        known=stack.seen[m],
        profile=stack.profiles[m],
        ids=p["ids"],
        id_bias=p["id_bias"],
        item=towers["item"],
        skip=p["skip"],
        entity=towers["entity"],
        precision=np.exp(np.clip(p["precision"], LEAST_LOG_PRECISION, MOST_LOG_PRECISION)),
        tails=p["tails"],
        encoded=known,
    )
