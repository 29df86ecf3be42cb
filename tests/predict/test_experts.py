"""Which experts a table gets, what kind a query is, and how answers blend."""

import numpy as np
import pytest

from dnaml.datasets.table import RunTable
from dnaml.predict.design import Encoder
from dnaml.predict.experts import Counts, Kind, Pooled, Weights, answers, blended, bucket, fit_experts
from tests.predict.test_bilinear import table
from tests.predict.worlds import world

SIMULATED = world(0)
FRAME = RunTable.from_runs(SIMULATED.runs).frame
DESIGN = Encoder.of(FRAME).design(FRAME)


def test_a_table_of_kernels_at_sizes_gets_every_expert():
    assert set(fit_experts(DESIGN)) == {"mean", "scaling", "latent-2", "neighbours", "boosting", "pooled"}


def test_a_table_without_kernels_has_no_pooled_model_and_more_latent_ones():
    found = fit_experts(table(resources=16)[0])
    assert "pooled" not in found
    assert {"latent-2", "latent-4", "latent-8"} <= set(found)


def test_a_tiny_table_still_gets_the_simplest_two():
    assert set(fit_experts(table()[0].rows(np.array([0])))) == {"mean", "scaling"}


def test_the_pooled_model_answers_rows_and_learns_further_ones():
    pooled = Pooled.fit(DESIGN)
    assert pooled is not None
    mean, sd = pooled.predict(DESIGN)
    assert np.abs(mean - DESIGN.target).mean() < 0.1
    assert (sd > 0).all()
    new = DESIGN.rows(np.arange(6))
    slower = type(new)(**{name: getattr(new, name) for name in new.__slots__ if name != "y"}, y=new.target + 1.0)
    assert pooled.updated(DESIGN.joined(slower), slower).predict(new)[0].mean() > mean[:6].mean() + 0.1


def test_too_many_resources_or_no_sizes_are_not_pooled(monkeypatch):
    assert Pooled.fit(table()[0]) is None
    monkeypatch.setattr("dnaml.predict.experts.MOST_POOLED_RESOURCES", 3)
    assert Pooled.fit(DESIGN) is None


@pytest.mark.parametrize(
    ("computation", "resource", "expected"),
    [
        ("f", "a", (Kind.SEEN, 2)),
        ("g", "b", (Kind.RESOURCE, 1)),
        ("h", "a", (Kind.COMPUTATION, 1)),
        ("new", "a", (Kind.NEW_COMPUTATION, 0)),
        ("f", "new", (Kind.NEW_RESOURCE, 0)),
        ("new", "new", (Kind.NEW_BOTH, 0)),
    ],
)
def test_a_query_belongs_to_a_kind_and_a_count(computation, resource, expected):
    counts = Counts(resources={"a": 3, "b": 1, "c": 3}, computations={"f": 3, "g": 3, "h": 1}, pairs={("f", "a"): 2})
    assert counts.group(computation, resource) == expected


def test_counts_are_of_distinct_pairs():
    counts = Counts.of(DESIGN)
    assert sum(counts.pairs.values()) == len(SIMULATED.runs)
    assert sum(counts.resources.values()) == sum(counts.computations.values()) == len(counts.pairs)
    assert counts.groups(DESIGN.rows(np.array([0]))) == [(Kind.SEEN, bucket(3))]


@pytest.mark.parametrize(
    ("runs", "expected"), [(0, 0), (1, 1), (2, 2), (4, 2), (5, 3), (9, 3), (10, 4), (20, 5), (10**6, 5)]
)
def test_counts_fall_into_six_buckets(runs, expected):
    assert bucket(runs) == expected


def test_weights_back_off_from_group_to_kind_to_all_to_even():
    weights = Weights(names=("x", "y"), shares={(0, 1): (1.0, 0.0), (0, -1): (0.8, 0.2), (-1, -1): (0.6, 0.4)})
    np.testing.assert_allclose(weights.of([(0, 1), (0, 2), (3, 3)])[:, 0], [1.0, 0.8, 0.6])
    np.testing.assert_allclose(Weights(names=("x", "y")).of([(0, 1)]), [[0.5, 0.5]])


def test_a_blend_is_unsure_where_experts_disagree():
    means, sds, weights = np.array([[0.0, 0.0], [-1.0, 1.0]]), np.full((2, 2), 0.1), np.full((2, 2), 0.5)
    mean, sd = blended(means, sds, weights)
    np.testing.assert_allclose(mean, [0, 0])
    np.testing.assert_allclose(sd, [0.1, np.sqrt(1.01)])


def test_answers_have_one_column_an_expert():
    found = fit_experts(DESIGN)
    means, sds = answers(found, DESIGN.rows(np.arange(5)))
    assert means.shape == sds.shape == (5, len(found))
