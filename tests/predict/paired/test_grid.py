"""Grids: descriptors standardised as training had them, telemetry read as what is unusual, items left out."""

import numpy as np
import pytest

from dnaml.predict.paired.grid import CLIP, Entity, Members, Scale, Surprise
from tests.predict.paired.grids import grid, task


def test_a_scale_standardises_drops_constants_and_marks_gaps():
    raw = np.array([[1.0, 5.0, np.nan], [3.0, 5.0, 2.0], [5.0, 5.0, 4.0]])
    scaled = Scale.of(raw)(raw)
    assert scaled.shape == (3, 3)  # two that vary, one that says where the gaps are
    np.testing.assert_allclose(scaled[:, 0], [-1.2247, 0.0, 1.2247], atol=1e-4)
    np.testing.assert_allclose(scaled[:, 1], [0.0, -1.0, 1.0])
    np.testing.assert_allclose(scaled[:, 2], [1.0, 0.0, 0.0])


def test_a_scale_keeps_its_training_and_clips_what_is_far():
    scale = Scale.of(np.array([[0.0], [2.0]]))
    np.testing.assert_allclose(
        scale(np.array([[1.0], [3.0], [1e9], [-np.inf], [np.nan]]))[:, 0], [0, 2, CLIP, -CLIP, 0]
    )


def test_a_scale_of_nothing_known_or_no_columns_is_empty():
    assert Scale.of(np.full((3, 2), np.nan))(np.ones((4, 2))).shape == (4, 0)
    assert Scale.of(np.zeros((3, 0)))(np.zeros((2, 0))).shape == (2, 0)


def test_members_know_their_places_and_which_columns_are_quantities():
    members = Members.of(("a", "b", "c"), np.array([[1.0, 0.0], [2.0, 1.0], [4.0, 1.0]]))
    assert len(members) == 3
    assert members.codes(np.array(["c", "x", "a"])).tolist() == [2, -1, 0]
    assert members.quantities.tolist() == [True, False]


def test_telemetry_is_read_as_what_is_unusual_for_the_item():
    told = np.array([[[1.0], [10.0]], [[3.0], [np.nan]]])  # two entities, two items
    surprise = Surprise.of(told)
    np.testing.assert_allclose(surprise.centre[:, 0], [2.0, 10.0])
    low, usual, unknown, never = surprise(np.array([[1.0], [10.0], [np.nan], [6.0]]), np.array([0, 1, 0, -1]))[:, 0]
    assert low < 0
    assert usual == 0
    assert unknown == 0
    assert never == 0  # the mean over items stands in for one never seen
    assert surprise(np.array([[1e30]]), np.array([0]))[0, 0] == CLIP


def test_an_item_without_telemetry_is_read_by_the_mean_of_the_others():
    surprise = Surprise.of(np.array([[[1.0], [np.nan]], [[3.0], [np.nan]]]))
    np.testing.assert_allclose(surprise.centre[:, 0], [2.0, 2.0])
    assert Surprise.of(np.zeros((2, 3, 0)))(np.zeros((4, 0)), np.zeros(4, dtype=int)).shape == (4, 0)


def test_a_grid_of_some_items_keeps_them_whole_and_scaled_as_they_were():
    whole = grid(telemetry=1)
    part = whole.with_items(np.array([7, 2]))
    assert list(part.items.index) == ["c07", "c02"]
    assert part.items.codes(np.array(["c02", "c00"])).tolist() == [1, -1]
    np.testing.assert_array_equal(part.y, whole.y[:, [7, 2]])
    np.testing.assert_array_equal(part.items.x, whole.items.x[[7, 2]])
    np.testing.assert_array_equal(part.items.scale(part.items.raw), part.items.x)
    np.testing.assert_array_equal(part.surprise.centre, whole.surprise.centre[[7, 2]])
    assert part.telemetry.shape == (5, 2, 1)
    assert part.scale_out.shape == (2,)


def test_known_cells_are_those_that_ran():
    with_gaps = grid(gaps=0.3)
    assert (with_gaps.known == ~np.isnan(with_gaps.y)).all()
    assert 0 < with_gaps.known.sum() < with_gaps.y.size


@pytest.mark.parametrize("probes", [0, 1, 5])
def test_a_task_counts_its_probes_and_what_it_asks(probes):
    found = task(grid(), 0, probes, asked=4)
    assert (found.probes, found.asked) == (probes, 4)
    assert len(found.runs) == 0


def test_the_sides_are_named_as_columns_are():
    assert [entity.value for entity in Entity] == ["resource", "computation"]
