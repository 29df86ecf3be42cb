"""The fitted net answers from plain arrays: any number of probes, items never seen, probes that are contradicted."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dnaml.predict.paired.episodes import fit_net
from dnaml.predict.paired.grid import Grid
from dnaml.predict.paired.net import Encoding, Net, OneNet, Profile, Tower
from dnaml.predict.paired.sources import Sources
from dnaml.predict.paired.stacked import NetSettings
from dnaml.predict.weights import load_model, save_model
from tests.predict.paired.net_world import HELD_OUT, MACHINES, PROGRAMS, task, taught, truth, world

QUICK = NetSettings(steps=250, width=32, wide=8, nets=1)
Fitted = tuple[Grid, Sources, Net]


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    grid = world()
    sources, use = taught(grid)
    net = fit_net(grid, sources, use, settings=QUICK)
    assert net is not None
    return grid, sources, net


def trusting(net: Net) -> Net:
    """Return one net that believes every probe, so that its posterior is exactly Gaussian."""
    return Net(nets=(replace(net.nets[0], tails=np.array([30.0, 0.0])),))


def error(fitted: Fitted, probes: int) -> float:
    grid, sources, net = fitted
    new = range(MACHINES - HELD_OUT, MACHINES)
    left = [net.answer(task(grid, e, probes), sources).mean - truth(grid, e, probes) for e in new]
    return float(np.abs(left).mean())


def test_probes_make_answers_better(fitted: Fitted) -> None:
    none, one, ten = (error(fitted, probes) for probes in (0, 1, 10))
    assert one < 0.8 * none
    assert ten < 0.7 * one
    assert ten < 0.15


@pytest.mark.parametrize("probes", [0, 1, 3, 10, 20])
def test_every_number_of_probes_has_a_finite_answer(fitted: Fitted, probes: int) -> None:
    grid, sources, net = fitted
    answer = net.answer(task(grid, MACHINES - 1, probes), sources)
    assert np.isfinite(answer.mean).all()
    assert (answer.sd > 0).all()
    assert answer.mean.shape == truth(grid, MACHINES - 1, probes).shape


def test_a_thousand_probes_of_few_items_have_a_finite_answer(fitted: Fitted) -> None:
    grid, sources, net = fitted
    asked = task(grid, MACHINES - 1, 3)
    places = np.concatenate([np.zeros(1000, dtype=np.int64), np.arange(1, 4)])
    many = replace(
        asked,
        y=np.full(1000, 2.0),
        item=np.concatenate([asked.item[:1].repeat(1000), asked.item[3:6]]),
        item_x=asked.item_x[places],
        scale_out=asked.scale_out[places],
    )
    answer = net.answer(many, sources)
    assert np.isfinite(answer.mean).all()
    assert (answer.sd > 0).all()


def test_more_probes_leave_less_doubt(fitted: Fitted) -> None:
    grid, sources, net = fitted
    doubt = [net.answer(task(grid, MACHINES - 1, k), sources).sd.mean() for k in (0, 1, 10)]
    assert doubt[0] > doubt[1] > doubt[2]


def test_a_contradicted_probe_does_little_harm(fitted: Fitted) -> None:
    grid, sources, net = fitted
    honest = task(grid, MACHINES - 1, 8)
    wrong = replace(honest, y=honest.y + np.array([0, 0, 0, 4.0, 0, 0, 0, 0]))
    moved = net.answer(wrong, sources).mean - net.answer(honest, sources).mean
    naive = trusting(net)
    moved_naive = naive.answer(wrong, sources).mean - naive.answer(honest, sources).mean
    assert np.abs(moved).mean() < 0.6 * np.abs(moved_naive).mean()


def test_the_own_error_is_that_of_probes_left_out_one_at_a_time(fitted: Fitted) -> None:
    grid, sources, net = fitted
    naive = trusting(net)
    asked = task(grid, MACHINES - 2, 5)
    errors = []
    for out in range(5):
        order = np.array([*(i for i in range(5) if i != out), out])
        told, item = asked.y[order[:4]], asked.item[order]
        alone = replace(asked, y=told, item=item, item_x=asked.item_x[order], scale_out=asked.scale_out[order])
        errors.append(abs(naive.answer(alone, sources).mean[0] - asked.y[out]))
    assert naive.answer(asked, sources).own_error == pytest.approx(np.mean(errors), rel=0.02)
    assert np.isnan(naive.answer(task(grid, MACHINES - 2, 1), sources).own_error)


def test_the_joint_answer_agrees_with_the_answer(fitted: Fitted) -> None:
    grid, sources, net = fitted
    asked = task(grid, MACHINES - 2, 3)
    answer = net.answer(asked, sources)
    mean, covariance, noise = net.joint(asked, sources)
    np.testing.assert_allclose(mean, answer.mean)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance) + noise), answer.sd)
    assert np.linalg.eigvalsh(covariance).min() > -1e-9


def test_the_joint_answer_foretells_the_next_probe(fitted: Fitted) -> None:
    grid, sources, net = fitted
    naive = trusting(net)
    asked = task(grid, MACHINES - 2, 3)
    mean, covariance, noise = naive.joint(asked, sources)
    more = task(grid, MACHINES - 2, 4, asked=7)
    gain = covariance[1:, 0] / (covariance[0, 0] + noise[0])
    np.testing.assert_allclose(naive.answer(more, sources).mean, mean[1:] + gain * (more.y[3] - mean[0]), atol=1e-4)


def test_an_item_never_seen_is_answered_from_its_descriptors(fitted: Fitted) -> None:
    grid, sources, net = fitted
    asked = task(grid, MACHINES - 1, 3)
    last = np.arange(len(asked.item)) == len(asked.item) - 1
    never = replace(asked, item=np.where(last, -1, asked.item))
    seen, unseen = net.answer(asked, sources), net.answer(never, sources)
    np.testing.assert_allclose(unseen.mean[:-1], seen.mean[:-1])
    assert unseen.mean[-1] != seen.mean[-1]
    assert abs(unseen.mean[-1] - truth(grid, MACHINES - 1, 3)[-1]) < 1.5


def test_a_net_is_kept_as_plain_values(fitted: Fitted, tmp_path: Path) -> None:
    grid, sources, net = fitted
    save_model(tmp_path, net)
    again = load_model(tmp_path, {c.__name__: c for c in (Net, OneNet, Tower, Profile, Encoding)})
    asked = task(grid, MACHINES - 1, 5)
    np.testing.assert_array_equal(again.answer(asked, sources).mean, net.answer(asked, sources).mean)


def test_the_items_known_are_encoded_once(fitted: Fitted) -> None:
    _, _, net = fitted
    assert net.nets[0].encoded.loadings.shape == (PROGRAMS, len(net.nets[0].precision))
    np.testing.assert_array_equal(net.nets[0].encoded.loadings[:, 0], 1.0)
    assert np.abs(net.nets[0].encoded.loadings[:, 1:]).max() <= 3.0


def test_answering_needs_no_torch() -> None:
    found = "import sys, dnaml.predict.paired.net, dnaml.predict.paired.episodes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", found], check=False, timeout=60).returncode == 0
