"""Empirical-Bayes rows: what descriptions, known rows and a few probes say of an entity's whole row."""

from dataclasses import replace

import numpy as np
import pytest

from dnaml.predict.paired.grid import FloatArray, Task
from dnaml.predict.paired.rows import PreparedRows, RowExpert
from dnaml.predict.paired.sources import Sources
from tests.predict.paired.net_world import MACHINES, task, taught, truth, world
from tests.speed import cpu_s, least, slowness

HELD = MACHINES - 1


@pytest.fixture(scope="module")
def taught_world() -> tuple[PreparedRows, Sources]:
    """Return the expert and the sources of the made-up world."""
    sources, _ = taught(world())
    prepared = RowExpert().prepare(sources)
    assert prepared is not None
    return prepared, sources


def error(prepared: PreparedRows, sources: Sources, probes: int) -> float:
    grid = world()
    return float(
        np.mean(
            [
                np.abs(prepared.answer(task(grid, e, probes), sources).mean - truth(grid, e, probes)).mean()
                for e in range(MACHINES - 4, MACHINES)
            ]
        )
    )


def test_probes_make_the_answer_better(taught_world: tuple[PreparedRows, Sources]) -> None:
    prepared, sources = taught_world
    assert error(prepared, sources, 12) < error(prepared, sources, 3) < error(prepared, sources, 0)
    assert error(prepared, sources, 12) < 0.2


def test_without_probes_the_description_beats_the_mean_row(taught_world: tuple[PreparedRows, Sources]) -> None:
    prepared, sources = taught_world
    grid = world()
    said, plain = [], []
    for entity in range(MACHINES - 4, MACHINES):
        asked = task(grid, entity, 0)
        answer = prepared.answer(asked, sources)
        assert np.isfinite(answer.own_error) == 0
        assert (answer.sd > 0.1).all()
        said.append(np.abs(answer.mean - truth(grid, entity, 0)).mean())
        plain.append(np.abs(sources.rows.mean(axis=0)[asked.item] - truth(grid, entity, 0)).mean())
    assert np.mean(said) < np.mean(plain)


def test_one_pair_at_a_time_gives_the_same_answer(taught_world: tuple[PreparedRows, Sources]) -> None:
    prepared, sources = taught_world
    whole = task(world(), HELD, 4)
    together = prepared.answer(whole, sources)
    for place in range(whole.asked):
        alone = prepared.answer(_only(whole, place), sources)
        np.testing.assert_allclose(alone.mean, together.mean[place], atol=1e-9)
        np.testing.assert_allclose(alone.sd, together.sd[place], atol=1e-9)


def test_a_contradicted_probe_loses_weight(taught_world: tuple[PreparedRows, Sources]) -> None:
    prepared, sources = taught_world
    honest = task(world(), HELD, 10)
    y = honest.y.copy()
    y[3] += 3.0
    right = prepared.answer(honest, sources)
    wrong = prepared.answer(replace(honest, y=y), sources)
    assert np.abs(wrong.mean - right.mean).max() < 0.3
    assert wrong.own_error > right.own_error


def test_the_joint_answer_agrees_with_the_single_ones(taught_world: tuple[PreparedRows, Sources]) -> None:
    prepared, sources = taught_world
    asked = task(world(), HELD, 5)
    mean, covariance, noise = prepared.joint(asked, sources)
    answer = prepared.answer(asked, sources)
    np.testing.assert_allclose(mean, answer.mean, atol=1e-9)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance) + noise), answer.sd, atol=1e-6)
    assert np.linalg.eigvalsh(covariance).min() > -1e-8
    assert (noise > 0).all()


def test_an_item_never_seen_is_answered_from_its_descriptors(taught_world: tuple[PreparedRows, Sources]) -> None:
    prepared, sources = taught_world
    asked = task(world(), HELD, 6)
    item = asked.item.copy()
    item[6:] = -1
    unseen = prepared.answer(replace(asked, item=item), sources)
    assert np.isfinite(unseen.mean).all()
    assert (unseen.sd > prepared.answer(asked, sources).sd).all()


def test_fewer_than_three_known_entities_say_nothing() -> None:
    grid = world()
    assert RowExpert().prepare(Sources.of(grid, np.arange(len(grid.entities)) < 2)) is None


@pytest.mark.parametrize("sources", [3, 5, 40])
def test_few_or_undescribed_entities_still_give_finite_answers(sources: int) -> None:
    grid = world(entities=sources + 1)
    bare = Sources.of(grid, np.arange(sources + 1) < sources)
    bare = replace(bare, x=np.zeros((sources, 0)))
    prepared = RowExpert().prepare(bare)
    assert prepared is not None
    for probes in (0, 1, 2, 6):
        answer = prepared.answer(replace(task(grid, sources, probes), entity_x=np.zeros(0)), bare)
        assert np.isfinite(answer.mean).all()
        assert (answer.sd > 0).all()


def test_many_probes_of_the_same_items_count_as_one_each(taught_world: tuple[PreparedRows, Sources]) -> None:
    prepared, sources = taught_world
    asked = task(world(), HELD, 4)
    again = Task(
        y=np.tile(asked.y, 300),
        item=np.r_[np.tile(asked.item[:4], 300), asked.item[4:]],
        item_x=np.concatenate([np.tile(asked.item_x[:4], (300, 1)), asked.item_x[4:]]),
        scale_out=np.r_[np.tile(asked.scale_out[:4], 300), asked.scale_out[4:]],
        entity_x=asked.entity_x,
        telemetry=asked.telemetry,
    )
    known, more = prepared.answer(asked, sources), prepared.answer(again, sources)
    np.testing.assert_allclose(more.mean, known.mean, atol=0.1)


@pytest.mark.serial
def test_ten_probes_and_three_hundred_items_take_a_few_milliseconds() -> None:
    prepared, sources, asked = _large(probes=10)
    limit_s = 0.015 * slowness()
    assert least(cpu_s(lambda: prepared.answer(asked, sources)), limit_s) <= limit_s


@pytest.mark.serial
def test_a_thousand_probes_take_less_than_a_second() -> None:
    prepared, sources, asked = _large(probes=1000)
    limit_s = slowness()
    assert least(cpu_s(lambda: prepared.answer(asked, sources)), limit_s, most=3) <= limit_s


def _only(task: Task, place: int) -> Task:
    kept = np.r_[np.arange(task.probes), task.probes + place]
    return replace(task, item=task.item[kept], item_x=task.item_x[kept], scale_out=task.scale_out[kept])


def _large(probes: int) -> tuple[PreparedRows, Sources, Task]:
    rng = np.random.default_rng(0)
    sources, items = 100, 1300
    x, loads = rng.normal(size=(sources, 8)), rng.normal(size=(8, items))
    base = world(entities=6)
    grid_items = type(base.items).of(tuple(f"i{i:04}" for i in range(items)), rng.normal(size=(items, 20)))
    rows = x @ loads + 0.1 * rng.normal(size=(sources, items))
    known = Sources(
        items=grid_items,
        rows=rows,
        held_out=None,
        x=x,
        item_effect=rows.mean(axis=0),
        item_effect_held_out=None,
        entity_effect=np.zeros(sources),
        scale=1.0,
        unseen=None,
    )
    chosen = rng.permutation(items)[: probes + 300]
    own = rng.normal(size=8)
    y: FloatArray = own @ loads[:, chosen[:probes]]
    prepared = RowExpert().prepare(known)
    assert prepared is not None
    return (
        prepared,
        known,
        Task(
            y=y,
            item=chosen,
            item_x=grid_items.x[chosen],
            scale_out=np.full(len(chosen), np.nan),
            entity_x=own,
            telemetry=np.zeros(0),
        ),
    )
