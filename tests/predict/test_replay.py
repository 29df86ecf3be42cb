"""Replays of service on training rows, and the weights that follow."""

from dataclasses import replace

import numpy as np
import pytest

from dnaml.predict.experts import Kind
from dnaml.predict.replay import Replayed, folds_of, own_runs, replay, weigh
from tests.predict.test_bilinear import table
from tests.predict.test_experts import DESIGN


@pytest.fixture(scope="module")
def replayed():
    found = replay(DESIGN, seed=0)
    assert found is not None
    return found


def test_every_kind_of_query_that_a_table_allows_is_replayed(replayed):
    kinds = {Kind(kind) for kind, _ in replayed.groups}
    assert kinds >= {Kind.SEEN, Kind.RESOURCE, Kind.COMPUTATION, Kind.NEW_RESOURCE, Kind.NEW_COMPUTATION}
    assert {few for kind, few in replayed.groups if kind == Kind.RESOURCE} >= {1, 2}


def test_shapes_agree_and_own_runs_stand_only_where_the_pair_ran(replayed):
    rows = len(replayed.truth)
    assert replayed.means.shape == replayed.sds.shape == (rows, len(replayed.names))
    assert replayed.own.shape == (rows, 2)
    seen = np.array([kind == Kind.SEEN for kind, _ in replayed.groups])
    np.testing.assert_array_equal(replayed.own[:, 0] > 0, seen)
    assert np.isnan(replayed.own[~seen, 1]).all()


def test_what_was_hidden_was_not_known(replayed):
    new = np.array([kind == Kind.NEW_COMPUTATION for kind, _ in replayed.groups])
    scaling = replayed.means[:, replayed.names.index("scaling")]
    error = np.abs(scaling - replayed.truth)
    assert error[new].mean() > 2 * error[~new].mean()


def test_a_replay_is_the_same_for_a_seed():
    small = DESIGN.rows(np.arange(60))
    one, other = replay(small, seed=1), replay(small, seed=1)
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.means, other.means)


def test_a_table_too_small_to_hide_anything_has_no_replay():
    assert replay(table()[0].rows(np.array([0])), seed=0) is None


@pytest.mark.parametrize(("rows", "folds"), [(100, 4), (2000, 2), (50_000, 1)])
def test_larger_tables_are_replayed_less(rows, folds):
    assert folds_of(rows) == folds


def test_own_runs_count_and_average_the_pair():
    design, _ = table()
    twice = design.joined(design.rows(np.array([0])))
    own = own_runs(twice, design.rows(np.array([0, 1])))
    np.testing.assert_allclose(own[0], [2, design.target[0]])
    np.testing.assert_allclose(own[1], [1, design.target[1]])


def _stated(errors, groups):
    truth = np.zeros(len(errors))
    return Replayed(
        names=("x", "y"),
        truth=truth,
        means=np.asarray(errors, dtype=float),
        sds=np.ones((len(errors), 2)),
        own=np.zeros((len(errors), 2)),
        kernels=np.array(["k"] * len(errors)),
        groups=groups,
    )


def test_the_better_expert_of_a_group_weighs_more_there():
    errors = [[0.1, 0.5]] * 400 + [[0.5, 0.1]] * 400
    weights = weigh(_stated(errors, [(0, 1)] * 400 + [(1, 1)] * 400))
    first, second = weights.of([(0, 1), (1, 1)])
    assert first[0] > 0.9
    assert second[1] > 0.9


def test_a_group_of_few_errors_weighs_as_its_kind_does():
    errors = [[0.1, 0.3]] * 400 + [[0.3, 0.1]]
    weights = weigh(_stated(errors, [(0, 1)] * 400 + [(0, 2)]))
    assert weights.of([(0, 2)])[0, 0] > 0.8


def test_one_wild_error_does_not_decide():
    errors = [[0.1, 0.2]] * 99 + [[1e6, 0.2]]
    weights = weigh(replace(_stated(errors, [(0, 1)] * 100)))
    assert weights.of([(0, 1)])[0, 0] > 0.5
