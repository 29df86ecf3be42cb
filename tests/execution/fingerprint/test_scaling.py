"""Arguments are made smaller as the caller says."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dnaml.core.errors import InputError
from dnaml.execution.fingerprint.scaling import scaled


def test_a_fraction_shortens_sequences_and_leaves_numbers_beside_them() -> None:
    args, kwargs = scaled(0.5, ([1, 2, 3, 4], 100), {"rows": np.arange(10), "name": "abcdef"})
    assert args == ([1, 2], 100)
    assert kwargs["rows"].tolist() == [0, 1, 2, 3, 4]
    assert kwargs["name"] == "abcdef"


def test_a_fraction_shortens_frames_by_rows() -> None:
    (frame,), _ = scaled(0.5, (pd.DataFrame({"a": range(4)}),), {})
    assert len(frame) == 2


def test_a_fraction_makes_whole_numbers_smaller_where_there_is_no_sequence() -> None:
    assert scaled(0.1, (100, 2.5, True), {"n": 3}) == ((10, 2.5, True), {"n": 1})


def test_fractions_by_name_reach_positional_and_keyword_arguments() -> None:
    made = scaled({"n": 0.5, "k": 0.1}, (10, 20), {"k": 100}, ("n", "m"))
    assert made == ((5, 20), {"k": 10})


def test_a_function_says_it_all() -> None:
    assert scaled(lambda args, kwargs: ((args[0] // 2,), kwargs), (10,), {"a": 1}) == ((5,), {"a": 1})


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        (0.0, r"scale must be in \(0, 1\), got 0.0"),
        (1.5, r"scale must be in \(0, 1\), got 1.5"),
        ({"n": 2.0}, r"scale of n must be in \(0, 1\)"),
        ({"x": 0.5}, "no argument 'x'; it has n"),
        (lambda args, kwargs: args, r"scale must return \(args, kwargs\), got tuple"),
        (lambda args, kwargs: None, r"scale must return \(args, kwargs\), got NoneType"),
    ],
)
def test_a_scale_that_makes_no_sense_is_named(scale: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        scaled(scale, (10,), {}, ("n",))
