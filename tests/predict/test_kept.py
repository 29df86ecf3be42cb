"""The rows of a young predictor come back as they went in, whatever their columns hold."""

import numpy as np
import pandas as pd

from dnaml.predict.kept import Kept
from dnaml.predict.weights import load_model, save_model

FRAME = pd.DataFrame(
    {
        "resource_id": ["a", "b"],
        "runtime_s": [1.0, 2.0],
        "failed": [False, True],
        "r_count": [1, 2],
        "r_clock": [np.nan, 3.0],
        "r_kind": ["wide", None],
    }
)


def same(frame):
    assert frame["resource_id"].tolist() == ["a", "b"]
    assert frame["r_kind"].isna().tolist() == [False, True]
    assert frame["r_kind"][0] == "wide"
    assert frame["failed"].dtype == bool
    np.testing.assert_array_equal(
        frame[["runtime_s", "r_count", "r_clock"]], FRAME[["runtime_s", "r_count", "r_clock"]]
    )


def test_a_frame_comes_back_with_its_gaps():
    same(Kept.of(FRAME).frame())


def test_rows_are_added_and_a_column_that_either_lacks_is_unknown_there():
    both = Kept.of(FRAME).joined(FRAME.drop(columns="r_clock").assign(s_n=5.0))
    assert both.rows == 4
    frame = both.frame()
    assert frame["r_clock"].isna().tolist() == [True, False, True, True]
    assert frame["s_n"].isna().tolist() == [True, True, False, False]


def test_kept_rows_are_stored_as_plain_values(tmp_path):
    save_model(tmp_path, Kept.of(FRAME))
    same(load_model(tmp_path, {"Kept": Kept}).frame())
