"""Known rows: effects, gaps filled, and guesses for items never seen."""

import numpy as np
import pytest

from dnaml.predict.paired.sources import LEAST_SCALE, Sources, effects, filled
from tests.predict.paired.grids import grid, task, unseen

ALL = np.ones(5, dtype=bool)


def additive(entities=6, items=9):
    rng = np.random.default_rng(1)
    return rng.normal(size=(entities, 1)) + rng.normal(2, 1, items)


def test_effects_explain_an_additive_matrix_with_gaps():
    y = additive()
    holed = np.where(np.random.default_rng(0).random(y.shape) < 0.3, np.nan, y)
    item, entity = effects(holed)
    np.testing.assert_allclose(item + entity[:, None], y, atol=0.1)


def test_an_item_or_entity_that_never_ran_has_the_mean_effect():
    y = additive()
    y[:, 2], y[3] = np.nan, np.nan
    item, entity = effects(y)
    assert np.isfinite(item).all()
    assert entity[3] == 0.0
    assert item[2] == pytest.approx(np.nanmean(y))
    everywhere = effects(np.full((2, 3), np.nan))
    assert not np.concatenate(everywhere).any()


def test_gaps_are_filled_better_than_by_effects_and_known_cells_stay():
    whole = grid(8, 40).y
    holed = grid(8, 40, gaps=0.2)
    item, entity = effects(holed.y)
    base = item + entity[:, None]
    rows = filled(holed.y, base, holed.items.x)
    np.testing.assert_array_equal(rows[holed.known], holed.y[holed.known])
    gaps = ~holed.known
    assert np.abs(rows - whole)[gaps].mean() < 0.6 * np.abs(base - whole)[gaps].mean()
    blind = filled(holed.y, base, np.zeros((40, 0)))
    assert np.abs(blind - whole)[gaps].mean() < np.abs(base - whole)[gaps].mean()


def test_a_full_matrix_is_kept_as_a_copy():
    y = additive()
    rows = filled(y, np.zeros_like(y), np.zeros((9, 0)))
    np.testing.assert_array_equal(rows, y)
    assert rows is not y


def test_few_entities_with_gaps_are_filled_by_effects_alone():
    y = additive(3, 5)
    y[0, 1] = np.nan
    base = np.full_like(y, 7.0)
    assert filled(y, base, np.zeros((5, 0)))[0, 1] == 7.0


def test_only_the_entities_in_use_are_sources():
    whole = grid()
    some = Sources.of(whole, np.array([True, False, True, True, False]))
    assert len(some) == 3
    np.testing.assert_array_equal(some.rows, whole.y[[0, 2, 3]])
    assert some.x.shape == (3, whole.entities.x.shape[1])
    assert some.scale > LEAST_SCALE


def test_seen_items_are_told_and_unseen_ones_guessed_from_descriptors():
    whole = grid(5, 60)
    sources = Sources.of(whole.with_items(np.arange(50)), ALL)
    asked = task(whole.with_items(np.r_[np.arange(3), np.arange(50, 60)]), 0, 3)
    rows, effect = sources.at(unseen(asked))
    np.testing.assert_array_equal(rows[:, :3], whole.y[:, :3])
    truth = whole.y[:, 50:]
    assert np.abs(rows[:, 3:] - truth).mean() < 0.3 * np.abs(truth - truth.mean(axis=1, keepdims=True)).mean()
    assert np.abs(effect[3:] - truth.mean(axis=0)).mean() < 0.3 * truth.mean(axis=0).std()


def test_without_descriptors_an_unseen_item_is_each_sources_mean():
    whole = grid(described=False)
    sources = Sources.of(whole, ALL)
    assert sources.unseen is None
    assert sources.held_out is None
    rows, effect = sources.at(unseen(task(whole, 0, 2)))
    np.testing.assert_allclose(rows[:, 2:], np.tile(whole.y.mean(axis=1, keepdims=True), (1, 10)))
    np.testing.assert_allclose(effect[2:], sources.item_effect.mean())
    np.testing.assert_array_equal(sources.at(task(whole, 0, 2))[0], whole.y)


def test_columns_held_out_are_guesses_of_others_and_need_enough_items():
    whole = grid(5, 60)
    sources = Sources.of(whole, ALL)
    assert sources.held_out.shape == (5, 60)
    assert sources.item_effect_held_out.shape == (60,)
    error = np.abs(sources.held_out - whole.y).mean()
    assert 0 < error < 0.5 * whole.y.std()
    few = Sources.of(whole.with_items(np.arange(11)), ALL)
    assert few.held_out is None
    assert few.item_effect_held_out is None
    assert few.unseen is not None
