"""Parts cover every item exactly once, whatever the shares; results join in order or say why they cannot."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnaml.core.errors import InputError
from dnaml.execution.parts import boundary, cut, joined, sliced


@given(
    length=st.integers(0, 10_000),
    weights=st.lists(st.floats(0.01, 10.0), min_size=1, max_size=12),
)
def test_adjoining_shares_cover_every_item_once(length: int, weights: list[float]) -> None:
    shares = [weight / sum(weights) for weight in weights]
    starts = [0.0, *itertools.accumulate(shares)]
    found = [
        item
        for start, share in zip(starts, shares, strict=False)
        for item in sliced((range(length),), {}, start, share)[0]
    ]
    assert found == list(range(length))


def test_a_share_is_as_long_as_it_says() -> None:
    assert (boundary(10, 0.25), boundary(10, 0.75), boundary(10, 1.0)) == (3, 8, 10)
    assert boundary(0, 0.5) == 0


def test_sequences_arrays_and_tables_are_cut_alike() -> None:
    assert cut([1, 2, 3, 4], 0.5, 0.5) == [3, 4]
    assert cut("abcd", 0.0, 0.5) == "ab"
    np.testing.assert_array_equal(cut(np.arange(8).reshape(4, 2), 0.25, 0.5), [[2, 3], [4, 5]])
    table = pd.DataFrame({"x": [1, 2, 3]}, index=[7, 8, 9])
    assert cut(table, 0.0, 0.34).index.tolist() == [7]


def test_only_the_first_argument_is_cut_by_position_or_by_name() -> None:
    assert sliced(([1, 2], [3, 4]), {"z": 5}, 0.0, 0.5) == ([1], [3, 4])
    named = {"items": [1, 2], "z": [3, 4]}
    assert sliced((), named, 0.5, 0.5) == ()
    assert named == {"items": [2], "z": [3, 4]}


@pytest.mark.parametrize("whole", [3, {"a": 1}, {1, 2}, iter([1])])
def test_what_has_no_slices_is_refused(whole: object) -> None:
    with pytest.raises(InputError, match=type(whole).__name__):
        cut(whole, 0.0, 0.5)


def test_a_call_without_arguments_cannot_be_divided() -> None:
    with pytest.raises(InputError, match="first argument"):
        sliced((), {}, 0.0, 0.5)


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([[1], [2, 3]], [1, 2, 3]),
        ([(1,), (2,)], (1, 2)),
        (["a", "bc"], "abc"),
        ([b"a", b"b"], b"ab"),
        ([bytearray(b"a"), bytearray(b"b")], bytearray(b"ab")),
        ([None, None], None),
    ],
)
def test_results_are_put_one_after_the_other(parts: list[object], whole: object) -> None:
    assert joined(parts) == whole


def test_arrays_tensors_and_tables_join_along_their_first_axis() -> None:
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(joined([np.ones((1, 2)), np.zeros((2, 2))]), [[1, 1], [0, 0], [0, 0]])
    assert joined([torch.ones(1), torch.zeros(2)]).tolist() == [1.0, 0.0, 0.0]
    tables = [pd.DataFrame({"x": [1]}), pd.DataFrame({"x": [2, 3]})]
    assert joined(tables)["x"].tolist() == [1, 2, 3]


def test_join_gets_all_results_in_order() -> None:
    assert joined([1, 2, 3], join=sum) == 6
    assert joined([{"a": 1}, {"b": 2}], join=lambda parts: parts[0] | parts[1]) == {"a": 1, "b": 2}


@pytest.mark.parametrize(("parts", "says"), [([1, 2], "int"), ([[1], (2,)], "list, tuple"), ([{}, {}], "dict")])
def test_what_cannot_be_joined_is_named(parts: list[object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        joined(parts)
