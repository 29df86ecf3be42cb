"""Replays: every entity is held out once, nothing asked was told, and named groups stay together."""

from dataclasses import replace

import numpy as np
import pytest

from dnaml.predict.paired.latent import Latents, fits_of
from dnaml.predict.paired.members import Fitted
from dnaml.predict.paired.replay import FEWEST_CELLS, PROBES, folds_of, replay, task_of
from dnaml.predict.paired.sources import Sources
from tests.predict.paired.grids import grid


def latent_only(whole, fold):
    """Return one expert of a fold: enough to replay with."""
    use = fold.entities
    sources = Sources.of(fold.grid, use)
    latents = Latents.fit(fold.grid, use, 1, fits_of(fold.grid, use))
    return Fitted(sources=sources, members={"latent": latents})


@pytest.fixture(scope="module")
def replayed():
    whole = grid(5, 12, gaps=0.1, telemetry=1)
    folds = folds_of(whole)
    return whole, folds, replay(whole, folds, [latent_only(whole, fold) for fold in folds], ("latent", "silent"))


@pytest.mark.parametrize("members", [3, 5, 7, 30])
def test_every_entity_is_held_out_once(members):
    folds = folds_of(grid(members, 10))
    assert len(folds) == (members if members < 7 else 3)
    np.testing.assert_array_equal(np.sum([~fold.entities for fold in folds], axis=0), np.ones(members))
    assert all(fold.entities.any() for fold in folds)


def test_too_few_entities_cannot_be_held_out():
    assert folds_of(grid(2, 10)) == []


def test_items_are_hidden_only_where_they_are_many_and_described():
    for whole, hides in ((grid(5, 12), True), (grid(5, 7), False), (grid(5, 12, described=False), False)):
        for fold in folds_of(whole):
            assert (fold.place < 0).any() == hides
            kept = np.flatnonzero(fold.place >= 0)
            assert list(fold.grid.items.index) == [list(whole.items.index)[item] for item in kept]
            np.testing.assert_array_equal(fold.place[kept], np.arange(len(kept)))


def test_named_groups_are_held_out_together():
    whole = replace(grid(9, 10), group=np.array([0, 0, 0, 1, 1, 2, 2, 3, 3]))
    for fold in folds_of(whole):
        for group in range(4):
            assert len(set(fold.entities[whole.group == group].tolist())) == 1


def test_one_group_for_all_still_leaves_something_to_learn_from():
    assert all(fold.entities.any() for fold in folds_of(replace(grid(5, 10), group=np.zeros(5, dtype=int))))


def test_episodes_ask_what_was_neither_probed_nor_missing(replayed):
    whole, folds, episodes = replayed
    for episode in episodes:
        place = folds[episode.fold].place
        probes, asked = np.split(episode.task.item, [episode.task.probes])
        assert (probes >= 0).all()
        assert ((asked < 0) == episode.unseen).all()
        seen = episode.task.item[episode.task.item >= 0]
        assert len(set(seen.tolist())) == len(seen)
        assert not folds[episode.fold].entities[episode.entity]
        assert np.isfinite(episode.truth).all()
        assert set(episode.truth.tolist()) <= set(whole.y[episode.entity].tolist())
        if not episode.unseen:
            back = np.array([np.flatnonzero(place == item)[0] for item in asked])
            np.testing.assert_array_equal(episode.truth, whole.y[episode.entity, back])


def test_episodes_come_with_every_number_of_probes_and_for_new_items_too(replayed):
    _, _, episodes = replayed
    assert {e.task.probes for e in episodes} >= {0, 1, 2, 3, 5}
    assert {e.unseen for e in episodes} == {True, False}
    assert {e.entity for e in episodes} == set(range(5))
    assert all(e.task.probes in PROBES for e in episodes)


def test_an_expert_that_a_fold_lacks_says_nothing(replayed):
    _, _, episodes = replayed
    for episode in episodes:
        assert np.isfinite(episode.means[:, 0]).all()
        assert np.isnan(episode.means[:, 1]).all()
        assert np.isnan(episode.own_errors[1])


def test_an_entity_with_too_few_cells_is_not_replayed():
    whole = grid(5, 12)
    whole.y[2, FEWEST_CELLS - 1 :] = np.nan
    folds = folds_of(whole)
    found = replay(whole, folds, [latent_only(whole, fold) for fold in folds], ("latent",))
    assert 2 not in {episode.entity for episode in found}


def test_a_task_tells_the_mean_telemetry_of_its_probes(replayed):
    whole, _, _ = replayed
    places = np.arange(12)
    told = task_of(whole, places, 1, np.array([0, 4]), np.array([5]))
    np.testing.assert_allclose(told.telemetry, whole.telemetry[1, [0, 4]].mean(axis=0))
    np.testing.assert_array_equal(told.item, [0, 4, 5])
    assert not task_of(whole, places, 1, places[:0], places[:2]).telemetry.any()
