"""Vectors are drawn flat: distances in a plane are kept, unknown slots count as usual, arrows point where sums rise."""

import numpy as np
import pytest

from dnaml.dna.flat import Flat, plane

NAN = np.nan


def test_the_plane_keeps_distances_of_what_lies_in_a_plane():
    rng = np.random.default_rng(1)
    near = rng.normal(size=(5, 8)) * 0.01
    vectors = np.concatenate([near, near + 3.0])
    places = plane(vectors)
    inside = np.linalg.norm(places[:5] - places[:5].mean(axis=0), axis=1).max()
    between = np.linalg.norm(places[:5].mean(axis=0) - places[5:].mean(axis=0))
    assert between > 10 * inside
    np.testing.assert_allclose(plane(vectors), places)


@pytest.mark.parametrize("vectors", [np.ones((3, 4)), np.full((3, 4), NAN), np.ones((1, 4))])
def test_vectors_that_tell_nothing_lie_on_one_point(vectors):
    np.testing.assert_array_equal(plane(vectors), 0)


def test_a_slot_that_few_know_is_left_out_and_an_unknown_value_counts_as_the_mean():
    vectors = np.array([[0.0, 5.0], [1.0, NAN], [2.0, NAN], [NAN, NAN]])
    flat = Flat.of(vectors)
    np.testing.assert_array_equal(flat.slots, [0])
    np.testing.assert_allclose(flat.places(vectors)[:, 0], [-1.2247449, 0.0, 1.2247449, 0.0], atol=1e-6)


def test_along_an_arrow_the_weighted_sum_of_slots_rises():
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(60, 2)) @ np.array([[3.0, 1.0, 0.0], [0.0, 1.0, 2.0]])
    flat = Flat.of(vectors)
    weights = np.array([[1.0, 0.0, NAN], [0.0, 0.2, 1.0]])
    along = flat.places(vectors) @ flat.arrows(weights).T
    wanted = (vectors - vectors.mean(axis=0)) @ np.nan_to_num(weights).T
    for column in range(2):
        assert np.corrcoef(along[:, column], wanted[:, column])[0, 1] > 0.99


def test_the_axes_explain_most_first_and_their_largest_weight_is_positive():
    rng = np.random.default_rng(3)
    vectors = np.stack([(x := rng.normal(size=50)), x + 0.1 * rng.normal(size=50), rng.normal(size=50)], axis=1)
    flat = Flat.of(vectors)
    assert flat.explained_share[0] > flat.explained_share[1] > 0
    assert flat.explained_share.sum() == pytest.approx(1.0, abs=0.05)
    assert (flat.axes[np.arange(2), np.abs(flat.axes).argmax(axis=1)] > 0).all()


def test_vectors_that_differ_in_one_direction_alone_lie_on_a_line():
    flat = Flat.of(np.array([[0.0, 1.0, 5.0], [2.0, 4.0, 5.0]]))
    np.testing.assert_array_equal(flat.axes[1], 0)
    np.testing.assert_allclose(flat.explained_share, [1.0, 0.0])
    np.testing.assert_array_equal(flat.places(np.array([[0.0, 1.0, 5.0], [2.0, 4.0, 5.0]]))[:, 1], 0)
