"""How columns become arrays, and what becomes of values nobody has seen."""

import math

import numpy as np
import pandas as pd
import pytest

from dnaml.datasets.table import load_runs
from dnaml.predict.design import MOST_CATEGORIES, Encoder


def frame(**columns):
    base = {"resource_id": ["a", "b", "c"], "computation_id": ["f", "f", "g"], "runtime_s": [1.0, 2.0, 4.0]}
    return load_runs(pd.DataFrame(base | columns)).frame


def test_numbers_are_centred_scaled_and_logged_where_they_are_wide():
    rows = frame(r_cores=[2.0, 4.0, 6.0], r_memory=[1.0, 10.0, 100.0])
    design = Encoder.of(rows).design(rows)
    np.testing.assert_allclose(design.resource_x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(design.resource_x.std(axis=0), 1)
    np.testing.assert_allclose(design.resource_x[1], 0, atol=1e-12)
    np.testing.assert_allclose(design.target, np.log([1, 2, 4]))


def test_text_becomes_one_column_a_category_and_a_new_category_matches_none():
    rows = frame(c_kernel=["x", "x", "y"])
    encoder = Encoder.of(rows)
    assert encoder.design(rows).computation_x.tolist() == [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    assert encoder.design(rows.assign(c_kernel="new")).computation_x.tolist() == [[0.0, 0.0]] * 3
    assert encoder.design(rows.assign(c_kernel="new")).kernel.tolist() == ["new"] * 3


def test_columns_without_information_are_left_out():
    rows = frame(r_same=1.0, r_empty=float("nan"), r_word="w")
    assert Encoder.of(rows).resource == ()
    assert Encoder.of(rows).design(rows).resource_x.shape == (3, 0)


def test_an_absent_column_and_an_absurd_value_are_unknown_and_far_ones_are_bounded():
    encoder = Encoder.of(frame(r_cores=[2.0, 4.0, 6.0], r_kind=["p", "q", "q"]))
    asked = pd.DataFrame({"resource_id": ["z"] * 3, "computation_id": ["f"] * 3, "r_cores": [math.inf, 1e200, 1e9]})
    design = encoder.design(asked)
    assert np.isnan(design.resource_x[:2]).all()
    assert design.resource_x[2, 0] == 20.0
    assert np.isnan(design.resource_x[:, 1:]).all()
    with pytest.raises(AssertionError, match="no target"):
        _ = design.target


def test_a_million_categories_become_a_bounded_number_of_columns():
    many = 5000
    rows = load_runs(
        pd.DataFrame(
            {
                "resource_id": ["a"] * many,
                "computation_id": ["f"] * many,
                "runtime_s": 1.0,
                "c_name": [f"n{i}" for i in range(many)],
            }
        )
    ).frame
    assert len(Encoder.of(rows).computation) == MOST_CATEGORIES


def test_sizes_are_read_in_ln_and_belong_to_the_computation_too():
    rows = frame(s_n=[0.0, 1.0, 99.0], s_word=["u", "v", "w"])
    encoder = Encoder.of(rows)
    assert encoder.size == ("s_n",)
    np.testing.assert_allclose(encoder.design(rows).size[:, 0], np.log1p([0, 1, 99]))
    assert {column.name for column in encoder.computation} == {"s_n", "s_word"}


def test_without_a_kernel_column_each_computation_is_its_own_kernel():
    rows = frame()
    assert Encoder.of(rows).design(rows).kernel.tolist() == ["f", "f", "g"]


def test_rows_can_be_picked_and_joined():
    rows = frame(r_cores=[2.0, 4.0, 6.0])
    design = Encoder.of(rows).design(rows)
    both = design.rows(np.array([0, 1])).joined(design.rows(np.array([False, False, True])))
    assert both.resource.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(both.target, design.target)
    assert Encoder.of(rows).design(rows.drop(columns="runtime_s")).rows(np.array([0])).y is None
