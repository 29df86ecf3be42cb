"""Copies of resources are what a machine faster throughout would have measured, and stay beside their original."""

import numpy as np
import pandas as pd
import pytest

from dnaml.core.errors import InputError
from dnaml.datasets.rescaled import rescaled
from dnaml.datasets.table import RunTable


def table():
    return RunTable.from_frame(
        pd.DataFrame(
            {
                "resource_id": ["a", "a", "b"],
                "computation_id": ["f", "g", "f"],
                "runtime_s": [1.0, 2.0, 3.0],
                "r_fp64_flop_per_s": [4.0, 4.0, 8.0],
                "r_clock_average_hz": [10.0, 10.0, 20.0],
                "r_step_s": [0.5, 0.5, 0.25],
                "r_startup_s": [0.1, 0.1, 0.1],
                "r_memory_bytes": [7.0, 7.0, 7.0],
                "c_flop": [100.0, 200.0, 100.0],
                "t_cpu_user_s": [0.9, 1.9, 2.9],
                "t_faults": [5.0, 6.0, 7.0],
            }
        )
    )


def test_rates_rise_and_times_fall_by_one_factor_a_resource():
    made = rescaled(table(), 2, reach=4.0, seed=1).frame
    assert len(made) == 9
    copies = made.iloc[3:]
    for resource_id, rows in copies.groupby("resource_id"):
        original = table().frame[table().frame["resource_id"] == resource_id.split(" x")[0]]
        factor = (original["runtime_s"].to_numpy() / rows["runtime_s"].to_numpy())[0]
        assert 0.25 <= factor <= 4.0
        assert resource_id.endswith(f" x{factor:.3f}")
        for name in ("r_fp64_flop_per_s", "r_clock_average_hz"):
            np.testing.assert_allclose(rows[name], factor * original[name].to_numpy())
        for name in ("runtime_s", "r_step_s", "t_cpu_user_s"):
            np.testing.assert_allclose(rows[name], original[name].to_numpy() / factor)
        for name in ("r_startup_s", "r_memory_bytes", "c_flop", "t_faults"):
            np.testing.assert_allclose(rows[name], original[name].to_numpy())


def test_copies_share_the_group_of_their_original():
    made = rescaled(table(), 1).frame
    assert made["group"].tolist() == ["a", "a", "b"] * 2
    assert made["resource_id"].nunique() == 4


def test_copies_can_stand_alone():
    alone = rescaled(table(), 1, originals=False, seed=2).frame
    pd.testing.assert_frame_equal(alone, rescaled(table(), 1, seed=2).frame.iloc[3:].reset_index(drop=True))


def test_the_original_rows_come_first_and_unchanged():
    made = rescaled(table(), 1).frame.iloc[:3]
    pd.testing.assert_frame_equal(made.drop(columns="group"), table().frame)


def test_equal_seeds_draw_equal_factors_whatever_the_order_of_rows():
    one = rescaled(table(), 1, seed=3).frame
    other = rescaled(RunTable.from_frame(table().frame.iloc[::-1]), 1, seed=3).frame
    assert set(one["resource_id"]) == set(other["resource_id"])
    assert set(one["resource_id"]) != set(rescaled(table(), 1, seed=4).frame["resource_id"])


def test_no_copies_and_no_rows_leave_the_table_as_it_is():
    whole = table()
    assert rescaled(whole, 0) is whole
    empty = whole.rows(np.zeros(3, dtype=bool))
    assert rescaled(empty, 2) is empty


@pytest.mark.parametrize(("copies", "reach"), [(-1, 2.0), (1, 0.5)])
def test_impossible_copies_are_refused(copies, reach):
    with pytest.raises(InputError, match="copies must be"):
        rescaled(table(), copies, reach=reach)
