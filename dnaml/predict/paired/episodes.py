"""Trains the neural expert by episodes: some runs of a known entity are probes, the net must predict the others.

Several nets that differ by chance alone are trained as one stack (the leading axis M of every tensor is the net) and
their answers averaged; the nets of a grid and of its folds stand in the same stack. The posterior is in the loss, so
loadings, noise and prior fit each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dnaml.predict.paired.batch import Batch
from dnaml.predict.paired.drawing import Episodes
from dnaml.predict.paired.grid import BoolArray, FloatArray, Grid
from dnaml.predict.paired.net import LEAST_LOG_PRECISION, MOST_LOG_PRECISION, Net, OneNet, Tower, encoding
from dnaml.predict.paired.sources import Sources
from dnaml.predict.paired.stacked import NetSettings, Parameters, Stack, first_parameters, sized

if TYPE_CHECKING:
    import torch
    from torch import Tensor

FEWEST_ENTITIES = 6
LARGEST = 1e3  # parameter of a net that did not diverge
LATE, SLACK = 0.9, 3.0  # the loss of the last steps may lie no further above the first one
ATTEMPTS = 4
DECAYS, LEAST_SIZE = (0.9, 0.99), 1e-8  # of the optimiser's means, and what it divides by at least


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """What a net is fitted to: the entities marked in `use` [E] of a grid, whose rows `sources` holds."""

    grid: Grid
    use: BoolArray
    sources: Sources

    @property
    def able(self) -> bool:
        """Return whether these entities can teach a net: enough of them with two items or more."""
        return int((self.grid.known[self.use].sum(axis=1) >= 2).sum()) >= FEWEST_ENTITIES


def fit_nets(cases: Sequence[Case], *, seed: int = 0, settings: NetSettings | None = None) -> list[Net | None]:
    """Return a net for each case, None where too few entities could teach it; the cases are folds of one grid.

    All are trained at once, with the settings that the largest asks for.
    """
    found: list[Net | None] = [None] * len(cases)
    left = [number for number, case in enumerate(cases) if case.able]
    if not left:
        return found
    largest = max((cases[number] for number in left), key=lambda case: int(case.grid.known[case.use].sum()))
    whole = max((case.grid for case in cases), key=lambda grid: len(grid.items))
    chosen = sized(settings or NetSettings(), largest.grid.known[largest.use])
    fewest = min(int(cases[number].use.sum()) for number in left)
    narrowest = min(len(cases[number].grid.items) for number in left)  # no more principal scores than items
    chosen = replace(chosen, scores=min(chosen.scores, max(1, fewest // 4), narrowest))
    for attempt in range(ATTEMPTS):
        stacks = [Stack.of(case.grid, case.sources, case.use, chosen) for case in (cases[number] for number in left)]
        batch = Batch.of(stacks, [cases[number].grid for number in left], whole)
        parameters, sound = _trained(batch, seed, _device(chosen.device))
        plain = {name: p.detach().cpu().double().numpy() for name, p in parameters.items()}
        last = attempt == ATTEMPTS - 1
        for place, number in enumerate(left):
            if sound[place] or last:
                found[number] = _net(plain, batch, place)
        left = [number for number in left if found[number] is None]
        if not left:
            break
        chosen = replace(chosen, rate=chosen.rate / 3, rank=chosen.rank if attempt == 0 else 2)
        chosen = replace(chosen, scores=min(chosen.scores, chosen.rank))
    return found


def fit_net(
    grid: Grid, sources: Sources, use: BoolArray, *, seed: int = 0, settings: NetSettings | None = None
) -> Net | None:
    """Return a net trained on the entities marked in `use` [E], whose rows `sources` holds; None if too few."""
    return fit_nets([Case(grid=grid, use=use, sources=sources)], seed=seed, settings=settings)[0]


def _device(asked: str) -> "torch.device":
    import torch

    return torch.device(asked if asked != "auto" else "cuda" if torch.cuda.is_available() else "cpu")


def _trained(batch: Batch, seed: int, device: "torch.device") -> tuple[Parameters, BoolArray]:
    """Return trained parameters, and whether every net of each stack [S] learnt something and none ran away."""
    import torch

    s, threads = batch.settings, torch.get_num_threads()
    torch.set_num_threads(1)
    first = first_parameters(batch, seed, device)
    flat = torch.cat([p.flatten(1) for p in first.values()], dim=1).requires_grad_()  # one tensor: one update a step
    optimiser = _Optimiser(flat, s.decay)
    episodes, losses = Episodes(batch, seed, device), []
    for step in range(s.steps):
        loss = episodes.loss(_named(flat, first))
        (gradient,) = torch.autograd.grad(loss.sum(), flat)
        losses.append(loss.detach())
        _clip(gradient, torch.isfinite(losses[-1]))
        optimiser.step(gradient, s.rate * _one_cycle(step / s.steps))
    torch.set_num_threads(threads)
    late = torch.stack(losses[int(LATE * s.steps) :]).mean(dim=0)
    sound = (late <= losses[0] + SLACK) & (flat.abs() < LARGEST).all(dim=1)
    good = np.asarray(sound.cpu().numpy(), dtype=np.bool_).reshape(len(batch.stacks), s.nets)
    return _named(flat, first), np.asarray(good.all(axis=1), dtype=np.bool_)


class _Optimiser:
    """Adam with decoupled weight decay ("Decoupled Weight Decay Regularization", 2019) on one tensor [M, P]."""

    def __init__(self, parameters: "Tensor", decay: float) -> None:
        import torch

        self.parameters, self.decay, self.steps = parameters, decay, 0
        self.mean, self.square = torch.zeros_like(parameters), torch.zeros_like(parameters)

    def step(self, gradient: "Tensor", rate: float) -> None:
        """Move the parameters against a gradient."""
        import torch

        self.steps += 1
        first, second = DECAYS
        with torch.no_grad():
            self.parameters.mul_(1 - rate * self.decay)
            self.mean.lerp_(gradient, 1 - first)
            self.square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
            size = (self.square / (1 - second**self.steps)).sqrt_().add_(LEAST_SIZE)
            self.parameters.addcdiv_(self.mean, size, value=-rate / (1 - first**self.steps))


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


def _net(plain: dict[str, FloatArray], batch: Batch, place: int) -> Net:
    """Return the nets of one stack."""
    stack, items, count = batch.stacks[place], batch.places[place], batch.settings.nets
    nets = []
    for number in range(place * count, (place + 1) * count):
        own = {name: p[number] for name, p in plain.items()}
        own["ids"], own["id_bias"] = own["ids"][items], own["id_bias"][items]
        nets.append(_frozen(own, stack))
    return Net(nets=tuple(nets))


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
