"""Training by episodes: reproducible, equal to what numpy answers, and never anything but finite."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dnaml.predict.paired.batch import Batch
from dnaml.predict.paired.episodes import Case, fit_net, fit_nets
from dnaml.predict.paired.grid import Grid
from dnaml.predict.paired.net import Net
from dnaml.predict.paired.sources import Sources
from dnaml.predict.paired.stacked import (
    WIDE_RANK,
    NetSettings,
    Stack,
    _inverter,
    encode_items,
    first_parameters,
    predicted,
)
from tests.predict.paired.net_world import MACHINES, task, taught, truth, world

QUICK = NetSettings(steps=40, width=16, wide=4, nets=1)


def fit(grid: Grid, settings: NetSettings = QUICK, seed: int = 0) -> tuple[Sources, Net]:
    sources, use = taught(grid)
    net = fit_net(grid, sources, use, seed=seed, settings=settings)
    assert net is not None
    return sources, net


def test_training_is_deterministic_under_a_seed() -> None:
    grid = world()
    (sources, first), (_, again), (_, other) = fit(grid), fit(grid), fit(grid, seed=1)
    asked = task(grid, MACHINES - 1, 3)
    np.testing.assert_array_equal(first.answer(asked, sources).mean, again.answer(asked, sources).mean)
    assert (first.answer(asked, sources).mean != other.answer(asked, sources).mean).any()


def test_numpy_answers_what_torch_predicts() -> None:
    grid = world(telemetry=2)
    sources, fitted = fit(grid, replace(QUICK, nets=1))
    asked, net = task(grid, MACHINES - 1, 5, asked=10), fitted.nets[0]
    p = {
        "skip": net.skip,
        "precision": np.log(net.precision),
        "tails": net.tails,
        **{f"item.{part}": getattr(net.item, part) for part in net.item.__slots__},
        **{f"entity.{part}": getattr(net.entity, part) for part in net.item.__slots__},
    }
    parameters = {name: torch.tensor(value)[None] for name, value in p.items()}
    place = asked.item
    left = net.profile((sources.rows - sources.item_effect - sources.entity_effect[:, None]) / net.scale)
    arrays = (asked.item_x, left[place], net.ids[place], net.id_bias[place])
    items = encode_items(parameters, *(torch.tensor(a)[None] for a in arrays))
    effect = sources.item_effect[place] + net.offset
    y = torch.zeros(1, 1, 15, dtype=torch.float64)
    y[0, 0, :5] = torch.tensor((asked.y - effect[:5]) / net.scale)
    described = torch.tensor(np.concatenate([asked.entity_x, asked.telemetry, [1.0]]))[None, None]
    probes = (torch.arange(15) < 5).double()[None, None]
    mean, variance = (v[0, 0, 5:].numpy() for v in predicted(parameters, items, described, y, probes))
    answer = fitted.answer(asked, sources)
    np.testing.assert_allclose(answer.mean, effect[5:] + net.scale * mean, atol=1e-5)
    np.testing.assert_allclose(answer.sd, net.scale * np.sqrt(variance), atol=1e-5)


def test_several_nets_are_averaged_and_their_spread_is_doubt() -> None:
    grid = world()
    sources, three = fit(grid, replace(QUICK, nets=3))
    asked = task(grid, MACHINES - 1, 3)
    alone = [Net(nets=(net,)).answer(asked, sources) for net in three.nets]
    answer = three.answer(asked, sources)
    np.testing.assert_allclose(answer.mean, np.mean([a.mean for a in alone], axis=0))
    assert (answer.sd**2 > np.mean([a.sd**2 for a in alone], axis=0)).all()
    assert (alone[0].mean != alone[1].mean).any()


def test_a_small_table_is_learnt_by_several_narrow_nets_unless_settings_say_otherwise() -> None:
    grid = world()
    sources, use = taught(grid)
    few = Stack.of(grid, sources, use, NetSettings()).settings
    assert (few.nets, few.width, few.rank) == (3, 48, 15)
    large = world(entities=110)
    wide = Stack.of(large, Sources.of(large, np.ones(110, dtype=np.bool_)), np.ones(110, dtype=np.bool_), NetSettings())
    assert (wide.settings.nets, wide.settings.width) == (3, 48)  # it still has few items
    assert wide.settings.steps > few.steps
    told = Stack.of(grid, sources, use, NetSettings(nets=2, width=7, rank=5)).settings
    assert (told.nets, told.width, told.rank) == (2, 7, 5)


def test_few_entities_teach_no_net() -> None:
    grid = world(entities=9)
    sources, use = taught(grid)
    assert use.sum() == 5
    assert fit_net(grid, sources, use, settings=QUICK) is None


def test_a_rate_that_diverges_still_gives_finite_answers() -> None:
    grid = world()
    sources, net = fit(grid, replace(QUICK, rate=1e4))
    answer = net.answer(task(grid, MACHINES - 1, 3), sources)
    assert np.isfinite(answer.mean).all()
    assert np.isfinite(answer.sd).all()


def test_a_grid_without_any_descriptor_is_learnt_by_id() -> None:
    grid = world()
    bare = replace(
        grid,
        entities=replace(grid.entities, x=np.zeros((MACHINES, 0))),
        items=replace(grid.items, x=np.zeros((len(grid.items), 0))),
    )
    sources, net = fit(bare, replace(QUICK, steps=200))
    errors = [net.answer(task(bare, e, 10), sources).mean - truth(bare, e, 10) for e in range(MACHINES - 4, MACHINES)]
    assert np.abs(errors).mean() < 0.5


def test_telemetry_of_one_probe_pays() -> None:
    grid = world(telemetry=2)
    settings = replace(QUICK, steps=300, width=32)
    errors = []
    for told in (grid, replace(grid, telemetry=np.zeros_like(grid.telemetry))):
        sources, net = fit(told, settings)
        answers = [net.answer(task(told, e, 1), sources).mean - truth(told, e, 1) for e in range(26, MACHINES)]
        errors.append(float(np.abs(answers).mean()))
    assert errors[0] < errors[1]


def test_the_first_parameters_do_not_depend_on_the_device_asked_for() -> None:
    grid = world()
    sources, use = taught(grid)
    batch = Batch.of([Stack.of(grid, sources, use, replace(QUICK, nets=2))], [grid], grid)
    first, again = (first_parameters(batch, 3, torch.device("cpu")) for _ in range(2))
    for name, value in first.items():
        assert torch.equal(value, again[name])


def test_wide_matrices_are_inverted_by_their_factors_with_the_slope_of_an_inverse() -> None:
    draw = torch.Generator().manual_seed(0)
    root = torch.randn(2, 3, WIDE_RANK, WIDE_RANK, generator=draw, dtype=torch.float64)
    aim = torch.randn(2, 3, WIDE_RANK, WIDE_RANK, generator=draw, dtype=torch.float64)
    found = []
    for invert in (_inverter(), torch.linalg.inv):
        matrix = (root @ root.transpose(-1, -2) + torch.eye(WIDE_RANK)).requires_grad_()
        inverse = invert(matrix)
        (slope,) = torch.autograd.grad((inverse * aim).sum(), matrix)
        found.append((inverse.detach(), slope))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_trains_a_net_as_good_as_the_cpu() -> None:
    grid = world()
    errors = []
    for device in ("cpu", "cuda"):
        sources, net = fit(grid, replace(QUICK, steps=250, device=device))
        answers = [net.answer(task(grid, e, 10), sources).mean - truth(grid, e, 10) for e in range(26, MACHINES)]
        errors.append(float(np.abs(answers).mean()))
    assert errors[1] < 1.5 * errors[0] + 0.02


def test_folds_are_learned_beside_the_whole_as_well_as_alone() -> None:
    grid = world()
    sources, use = taught(grid)
    part = grid.with_items(np.arange(0, len(grid.items), 2))
    fewer = use & (np.arange(MACHINES) > 4)
    settings = replace(QUICK, steps=250, width=32)
    folds = [
        Case(grid=part, use=fewer, sources=Sources.of(part, fewer)),
        Case(grid=grid, use=np.arange(MACHINES) < 5, sources=Sources.of(grid, np.arange(MACHINES) < 5)),
        Case(grid=grid, use=use, sources=sources),
    ]
    halved, none, whole = fit_nets(folds, settings=settings)
    assert none is None
    assert halved is not None
    assert whole is not None
    assert halved.nets[0].encoded.bias.shape == (len(part.items),)
    _, alone = fit(grid, settings)
    errors = {}
    for name, net in {"whole": whole, "alone": alone}.items():
        answers = [net.answer(task(grid, e, 10), sources).mean - truth(grid, e, 10) for e in range(26, MACHINES)]
        errors[name] = float(np.abs(answers).mean())
    assert errors["whole"] < 1.3 * errors["alone"] + 0.01
    said = [halved.answer(task(part, e, 5), folds[0].sources).mean - truth(part, e, 5) for e in range(26, MACHINES)]
    assert float(np.abs(said).mean()) < 0.5
