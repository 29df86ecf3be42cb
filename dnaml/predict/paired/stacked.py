"""A stack of nets as tensors: what they learn from, their first parameters, and what they predict.

The leading axis M of every tensor is the net, B are entities of an episode, I its items, R the rank with the speed.
The same formulas stand in `net.py` in numpy for one net and one entity.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, cast

import numpy as np

from dnaml.predict.paired.grid import BoolArray, FloatArray, Grid, IntArray
from dnaml.predict.paired.net import (
    BOUND,
    LEAST_LOG_FREEDOM,
    LEAST_LOG_PRECISION,
    LEAST_NOISE,
    MOST_ENTITY_NOISE,
    MOST_LOG_FREEDOM,
    MOST_LOG_PRECISION,
    MOST_SELF,
    Profile,
)
from dnaml.predict.paired.sources import Sources

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dnaml.predict.paired.batch import Batch

Parameters = dict[str, "Tensor"]

MOST_RANK = 16
WIDE_RANK = 12  # with the speed; from here on matrices are inverted by their Cholesky factors
FEWEST_STEPS, MOST_STEPS, RUNS_A_STEP = 160, 800, 25
FEW = 100  # entities, or items: less is learnt by several narrow nets, hindered more


@dataclass(frozen=True, slots=True, kw_only=True)
class NetSettings:
    """How nets are trained; 0 (of a share -1) lets the table's size decide."""

    rank: int = 0
    steps: int = 0
    nets: int = 0  # that differ by chance alone and are averaged
    width: int = 0
    wide: int = 48  # length of the vectors whose product is the prior mean
    ids: int = 16  # length of what the net learns of one item by its id
    scores: int = 8  # principal scores of an item over the sources
    batch: int = 40  # entities of an episode
    rate: float = 5e-3
    decay: float = 1e-2
    no_probes_share: float = 0.15
    unseen_share: float = 0.3  # of episodes in which no item is known
    forget_share: float = 0.2  # of items whose id is hidden
    hide_share: float = 0.15  # of entities whose description is hidden
    field_share: float = 0.1  # of fields of a description that are hidden
    most_probes: int = 128
    drop_share: float = -1.0  # of hidden values of the entity tower
    robust: bool = True
    mix_share: float = -1.0  # of entities that are drawn towards another one
    device: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stack:
    """What M nets learn from, in units of `scale`. Shapes: y [E, I] without the effects; known [E, I]; entities [U].

    `seen` [I] marks items measured in training; effect [I] and scores [I, P] are as known, `..._unseen` as guessed from
    descriptors alone.
    """

    settings: NetSettings
    y: FloatArray
    known: BoolArray
    entity_x: FloatArray
    item_x: FloatArray
    telemetry: FloatArray
    entities: IntArray
    profile: Profile
    seen: BoolArray
    scale: float
    offset: float
    effect: FloatArray
    effect_unseen: FloatArray
    scores: FloatArray
    scores_unseen: FloatArray
    can_hide: bool
    speed_sd: float

    @classmethod
    def of(cls, grid: Grid, sources: Sources, use: BoolArray, settings: NetSettings) -> "Stack":
        """Return what nets learn from the entities marked in `use` [E], whose rows the sources hold."""
        known = grid.known
        seen = np.asarray(known[use].any(axis=0), dtype=np.bool_)
        settings = sized(settings, known[use])
        left = (sources.rows - sources.item_effect - sources.entity_effect[:, None]) / sources.scale
        profile = _profile(np.where(seen, left, 0.0), settings.scores)
        effect, scores = sources.item_effect, profile(left)
        effect_unseen, scores_unseen = effect, scores
        if sources.held_out is not None and sources.item_effect_held_out is not None:
            effect_unseen = sources.item_effect_held_out
            guessed = sources.held_out - effect_unseen - sources.entity_effect[:, None]
            scores_unseen = profile(guessed / sources.scale)
            effect = np.where(seen, effect, effect_unseen)
            scores = np.where(seen[:, None], scores, scores_unseen)
        offset = float(sources.entity_effect.mean())
        return cls(
            settings=settings,
            y=(np.nan_to_num(grid.y) - effect - offset) / sources.scale,
            known=known,
            entity_x=grid.entities.x,
            item_x=grid.items.x,
            telemetry=np.nan_to_num(grid.telemetry),
            entities=np.flatnonzero(use & (known.sum(axis=1) >= 2)),
            profile=profile,
            seen=seen,
            scale=sources.scale,
            offset=offset,
            effect=effect,
            effect_unseen=effect_unseen,
            scores=scores,
            scores_unseen=scores_unseen,
            can_hide=sources.held_out is not None,
            speed_sd=float(sources.entity_effect.std()) / sources.scale,
        )


def sized(settings: NetSettings, known: BoolArray) -> NetSettings:
    """Return the settings with the choices that were left to the table's size, known [U, I]."""
    entities, runs = len(known), int(known.sum())
    rank = settings.rank or int(np.clip(entities // 2 + 2, 4, MOST_RANK))
    steps = settings.steps or int(np.clip(FEWEST_STEPS + runs / RUNS_A_STEP, FEWEST_STEPS, MOST_STEPS))
    few = min(known.shape) < FEW
    return replace(
        settings,
        rank=rank,
        steps=steps,
        nets=settings.nets or (3 if few else 1),
        width=settings.width or (48 if few else 96),
        scores=int(min(settings.scores, rank, max(1, entities // 4))),
        drop_share=settings.drop_share if settings.drop_share >= 0 else (0.25 if few else 0.15),
        mix_share=settings.mix_share if settings.mix_share >= 0 else (0.3 if few else 0.0),
    )


def _profile(left: FloatArray, count: int) -> Profile:
    """Return the first principal directions of what the effects leave of the sources' rows [S, I]."""
    basis, values, _ = np.linalg.svd(left, full_matrices=False)
    spread = np.maximum(values[:count] / left.shape[1] ** 0.5, 1e-3)
    return Profile(basis=basis[:, :count], spread=spread)


def first_parameters(batch: "Batch", seed: int, device: "torch.device") -> Parameters:
    """Return the first parameters of every net, the same for a seed wherever they will live."""
    import torch

    s, draw = batch.settings, torch.Generator().manual_seed(seed)
    nets, (items, scores) = batch.nets, batch.scores.shape[1:]
    inputs, described = batch.item_x.shape[1] + scores + s.ids, batch.entity_x.shape[1] + batch.telemetry.shape[2] + 1

    def normal(*shape: int, sd: float) -> "Tensor":
        return torch.randn(nets, *shape, generator=draw) * sd

    def tower(name: str, width: int, out: int) -> Parameters:
        return {
            f"{name}.w1": normal(width, s.width, sd=max(width, 1) ** -0.5),
            f"{name}.b1": torch.zeros(nets, s.width),
            f"{name}.w2": normal(s.width, s.width, sd=s.width**-0.5),
            f"{name}.b2": torch.zeros(nets, s.width),
            f"{name}.head": normal(s.width, out, sd=s.width**-0.5),
            f"{name}.bias": torch.zeros(nets, out),
        }

    found = tower("item", inputs, s.rank + 2 + s.wide) | tower("entity", described, s.rank + 2 + s.wide)
    found["item.head"][:, :, s.rank + 1 :] *= 0.1
    found["entity.head"] *= 0.2
    found["ids"] = normal(items, s.ids, sd=0.3)
    found["id_bias"] = torch.zeros(nets, items)
    found["skip"] = torch.eye(scores, s.rank).expand(nets, -1, -1).clone()
    precision = torch.zeros(nets, s.rank + 1)
    precision[:, 0] = torch.tensor(-np.log(np.maximum(batch.speed_sd**2, 1e-3))[batch.owner], dtype=torch.float32)
    found["precision"] = precision
    found["tails"] = torch.tensor([2.0, 0.0]).expand(nets, -1).clone()
    return {name: p.to(device) for name, p in found.items()}


def _tower(parameters: Parameters, name: str, x: "Tensor", drop: "Dropper | None" = None) -> "Tensor":
    from torch import baddbmm
    from torch.nn.functional import silu

    p = {part: parameters[f"{name}.{part}"] for part in ("w1", "b1", "w2", "b2", "head", "bias")}
    h = silu(baddbmm(p["b1"][:, None], x, p["w1"]))
    h = h if drop is None else drop(h)
    return baddbmm(p["bias"][:, None], silu(baddbmm(p["b2"][:, None], h, p["w2"])), p["head"])


class Dropper:
    """Sets a share of values to 0 and scales up the others, from its own stream of random numbers."""

    def __init__(self, share: float, draw: "torch.Generator") -> None:
        self.share, self.draw = share, draw

    def __call__(self, x: "Tensor") -> "Tensor":
        """Return the values with some of them dropped."""
        return x * self.kept(x.shape, x.device) / (1 - self.share)

    def kept(self, shape: tuple[int, ...], device: "torch.device") -> "Tensor":
        """Return ones and zeros of a shape."""
        import torch

        return (torch.rand(*shape, generator=self.draw, device=device) >= self.share).float()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Items:
    """The items of an episode. Shapes: loadings [M, I, R], squares [M, I, R*R], noise, bias [M, I], wide [M, I, V]."""

    loadings: "Tensor"
    squares: "Tensor"
    noise: "Tensor"
    bias: "Tensor"
    wide: "Tensor"


def encode_items(parameters: Parameters, x: "Tensor", scores: "Tensor", ids: "Tensor", id_bias: "Tensor") -> Items:
    """Return items as the net sees them: x [M, I, Fi], scores [M, I, P], ids [M, I, D], id_bias [M, I]."""
    import torch
    from torch.nn.functional import softplus

    out = _tower(parameters, "item", torch.cat([x, scores, ids], dim=-1))
    rank = parameters["skip"].shape[-1]
    raw = out[..., :rank] + scores @ parameters["skip"]
    loadings = torch.cat([torch.ones_like(out[..., :1]), BOUND * torch.tanh(raw / BOUND) / rank**0.5], dim=-1)
    return Items(
        loadings=loadings,
        squares=(loadings[..., :, None] * loadings[..., None, :]).flatten(-2),
        noise=softplus(out[..., rank] - BOUND) + LEAST_NOISE,
        bias=out[..., rank + 1] + id_bias,
        wide=out[..., rank + 2 :],
    )


def predicted(
    parameters: Parameters,
    items: Items,
    described: "Tensor",
    y: "Tensor",
    probes: "Tensor",
    *,
    robust: bool = True,
    drop: Dropper | None = None,
) -> tuple["Tensor", "Tensor"]:
    """Return mean and variance [M, B, I] of what is left of y [M, B, I], given its cells marked in `probes`."""
    import torch

    out = _tower(parameters, "entity", described, drop)
    rank = items.loadings.shape[-1]
    prior, louder = out[..., :rank], torch.exp(MOST_ENTITY_NOISE * torch.tanh(out[..., rank : rank + 1]))
    base = items.bias[:, None] + out[..., rank + 1 :] @ items.wide.transpose(1, 2)
    noise = items.noise[:, None] * louder
    precision = parameters["precision"].clamp(LEAST_LOG_PRECISION, MOST_LOG_PRECISION).exp()[:, None]
    left, weight = y - base, probes / noise
    if robust:
        weight = weight * _trust(parameters, items, precision, prior, left, probes, noise)
    around, quadratic = _left(precision, prior, items, left, weight)
    return y - around, quadratic + noise


def _trust(
    parameters: Parameters,
    items: Items,
    precision: "Tensor",
    prior: "Tensor",
    left: "Tensor",
    probes: "Tensor",
    noise: "Tensor",
) -> "Tensor":
    """Return the trust [M, B, I] in (0, 1] in each probe, as the prior and the others predict it.

    Gradients reach the tails alone: what is learnt of them costs little more than no re-weighting.
    """
    import torch

    with torch.no_grad():
        weight = probes / noise
        around, quadratic = _left(precision, prior, items, left, weight)
        apart = 1.0 - (weight * quadratic).clamp(max=MOST_SELF)
        surprise = (around / apart) ** 2 / (quadratic / apart + noise)
        log_count = probes.sum(dim=-1, keepdim=True).clamp(min=1.0).log()
    tails = parameters["tails"][:, None]
    log_freedom = tails[..., :1] + tails[..., 1:] * log_count
    freedom = torch.exp(log_freedom.clamp(LEAST_LOG_FREEDOM, MOST_LOG_FREEDOM))
    return ((freedom + 1.0) / (freedom + surprise)).clamp(max=1.0)


def _left(
    precision: "Tensor", prior: "Tensor", items: Items, left: "Tensor", weight: "Tensor"
) -> tuple["Tensor", "Tensor"]:
    """Return what the latent given weighted cells leaves of every cell, and its variance there [M, B, I]."""
    latent, covariance = _posterior(precision, prior, items, left, weight)
    return (
        left - latent @ items.loadings.transpose(1, 2),
        covariance.flatten(-2) @ items.squares.transpose(1, 2),
    )


@cache
def _inverter() -> "Callable[[Tensor], Tensor]":
    """Return what inverts positive definite matrices [..., R, R] by their Cholesky factors; its slope costs a product.

    Of many rows and columns this takes half the time of an inverse by elimination, of few the same.
    """
    import torch

    class Inverse(torch.autograd.Function):
        @staticmethod
        def forward(ctx, matrix):  # type: ignore
            found = torch.cholesky_inverse(torch.linalg.cholesky_ex(matrix)[0])
            ctx.save_for_backward(found)
            return found

        @staticmethod
        def backward(ctx, slope):  # type: ignore
            (found,) = ctx.saved_tensors
            return -(found @ slope @ found)

    return cast("Callable[[Tensor], Tensor]", Inverse.apply)


def _posterior(
    precision: "Tensor", prior: "Tensor", items: Items, left: "Tensor", weight: "Tensor"
) -> tuple["Tensor", "Tensor"]:
    """Return the latent's mean [M, B, R] and covariance [M, B, R, R]; inverted in float64."""
    import torch

    rank = prior.shape[-1]
    inverse = (weight @ items.squares).double().view(*prior.shape, rank) + torch.diag_embed(precision.double())
    covariance = torch.linalg.inv_ex(inverse)[0] if rank < WIDE_RANK else _inverter()(inverse)
    pull = precision * prior + (weight * left) @ items.loadings
    mean = (covariance @ pull.double()[..., None])[..., 0]
    return mean.to(prior.dtype), covariance.to(prior.dtype)
