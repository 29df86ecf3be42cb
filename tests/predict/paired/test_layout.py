"""From run tables to rows and grids: medians of repeats, sizes, telemetry, scale-outs, and odd columns."""

import numpy as np
import pandas as pd
import pytest

from dnaml.predict.paired import layout
from dnaml.predict.paired.grid import Entity
from dnaml.predict.paired.layout import Layout, grid_of, means, repeat_sd
from tests.predict.paired.grids import FRAME, frame


def rows_of(runs):
    return Layout.of(runs).rows(runs)


def test_rows_hold_both_sides_and_ln_seconds():
    rows = rows_of(FRAME)
    assert len(rows) == len(FRAME)
    assert rows.names(Entity.RESOURCE)[0].tolist() == FRAME["resource_id"].tolist()
    assert rows.names(Entity.COMPUTATION)[0].tolist() == FRAME["computation_id"].tolist()
    np.testing.assert_array_equal(rows.descriptors(Entity.RESOURCE)[0], rows.descriptors(Entity.COMPUTATION)[1])
    np.testing.assert_allclose(rows.y, np.log(FRAME["runtime_s"]))
    assert rows.group.tolist() == [""] * len(rows)


def test_rows_can_be_chosen_and_joined():
    rows = rows_of(FRAME)
    both = rows[:3].joined(rows[np.array([7])])
    assert both.resource.tolist() == [*FRAME["resource_id"][:3], FRAME["resource_id"][7]]
    assert len(rows[:0].joined(rows)) == len(rows)


def test_a_column_that_a_frame_lacks_is_unknown_in_every_row():
    full = frame(telemetry=True, sizes=(1.0, 2.0))
    rows = Layout.of(full).rows(full[["resource_id", "computation_id"]])
    for values in (rows.resource_x, rows.computation_x, rows.telemetry, rows.scale_out, rows.y):
        assert np.isnan(values).all()
    assert rows.computation[0] == "c0\x1f[nan]"


def test_sizes_part_a_computation_only_where_it_ran_at_several():
    several, one = frame(sizes=(1.0, 4.0)), FRAME.assign(s_n=3.0)
    assert len(set(rows_of(several).computation)) == 10
    assert len(set(rows_of(one).computation)) == 5
    assert not Layout.of(one).sized
    assert len(Layout.of(several).rows(several.iloc[:0])) == 0


def test_the_median_of_repeated_runs_counts_and_the_order_of_rows_does_not():
    runs = frame(repeats=3)
    runs.loc[0, "runtime_s"] *= 1000
    found = grid_of(rows_of(runs), Entity.RESOURCE)
    cell = np.log(runs["runtime_s"].to_numpy()[:3])
    assert found.y[0, 0] == np.median(cell)
    even = grid_of(rows_of(runs.drop(index=2)), Entity.RESOURCE)
    assert even.y[0, 0] == pytest.approx(np.mean(cell[:2]))
    moved = runs.sample(frac=1.0, random_state=3)
    other = grid_of(rows_of(moved), Entity.RESOURCE)
    np.testing.assert_array_equal(other.y, found.y)
    np.testing.assert_allclose(other.items.x, found.items.x, atol=1e-12)


def test_the_directions_are_transposes_of_each_other():
    runs = frame(telemetry=True).drop(index=[3, 11])
    a, b = (grid_of(rows_of(runs), entity) for entity in Entity)
    np.testing.assert_array_equal(a.y, b.y.T)
    np.testing.assert_array_equal(a.items.x, b.entities.x)
    assert np.isnan(a.y).sum() == 2
    assert list(a.entities.index) == ["r0", "r1", "r2", "r3"]


def test_members_that_ran_least_are_left_out_of_a_grid_that_is_too_wide(monkeypatch):
    monkeypatch.setattr(layout, "MOST_ENTITIES", 2)
    monkeypatch.setattr(layout, "MOST_ITEMS", 3)
    few = FRAME.drop(FRAME.index[(FRAME["resource_id"] == "r1") & (FRAME["computation_id"] != "c4")])
    more = pd.concat([few, few[few["resource_id"] == "r3"]])
    found = grid_of(rows_of(more), Entity.RESOURCE)
    assert list(found.entities.index) == ["r0", "r3"]
    assert found.y.shape == (2, 3)
    assert found.known.all()
    np.testing.assert_array_equal(found.group, [0, 1])


def test_wide_telemetry_is_read_in_logs_and_constant_telemetry_not_at_all():
    runs = frame(telemetry=True).assign(t_same=1.0, t_void=np.nan, t_text="x")
    found = {column.name: column.log for column in Layout.of(runs).telemetry}
    assert found == {"t_load": False, "t_bytes": True}
    rows = rows_of(runs)
    np.testing.assert_allclose(rows.telemetry[:, 0], np.log1p(runs["t_bytes"]))
    below = Layout.of(runs).rows(runs.assign(t_bytes=-5.0))
    assert (below.telemetry[:, 0] == 0).all()


def test_a_scale_out_needs_three_positive_values():
    runs = FRAME.assign(s_nodes=np.arange(len(FRAME)) % 3 + 1.0, r_cores=[1.0, 2.0] * 10)
    found = Layout.of(runs)
    assert found.scale_out == ("", "s_nodes")
    assert grid_of(found.rows(runs), Entity.RESOURCE).scale_out.shape[0] == len(set(found.rows(runs).computation))
    assert np.isnan(found.rows(runs).item_scale_out(Entity.COMPUTATION)).all()
    assert Layout.of(FRAME.assign(s_nodes=np.arange(len(FRAME)) - 1.0)).scale_out == ("", "")
    assert Layout.of(FRAME.assign(s_nodes=np.nan)).scale_out == ("", "")


def test_named_groups_are_one_and_the_others_stand_alone():
    site = FRAME["resource_id"].map({"r0": "a", "r1": "b", "r2": "a", "r3": ""})
    group = grid_of(rows_of(FRAME.assign(group=site)), Entity.RESOURCE).group
    assert group[0] == group[2]
    assert len(set(group.tolist())) == 3
    assert len(set(grid_of(rows_of(FRAME), Entity.RESOURCE).group.tolist())) == 4


def test_a_group_without_a_value_is_no_group():
    group = grid_of(rows_of(FRAME.assign(group=np.nan)), Entity.RESOURCE).group
    assert len(set(group.tolist())) == 4


def test_runs_of_one_pair_tell_how_much_repeats_differ():
    quiet, loud = frame(repeats=6), frame(repeats=6)
    loud["runtime_s"] *= np.exp(np.random.default_rng(0).normal(0, 0.5, len(loud)))
    assert repeat_sd(rows_of(quiet)) < 0.05 < 0.4 < repeat_sd(rows_of(loud)) < 0.6
    assert repeat_sd(rows_of(FRAME)) == pytest.approx(layout.REPEAT_SD)


def test_means_are_over_known_values_only():
    values = np.array([[1.0, np.nan], [3.0, np.nan], [5.0, 2.0]])
    np.testing.assert_array_equal(means(np.array([4, 4, 1]), values), [[5.0, 2.0], [2.0, np.nan]])
    assert means(np.zeros(0, dtype=np.int64), np.zeros((0, 2))).shape == (0, 2)
