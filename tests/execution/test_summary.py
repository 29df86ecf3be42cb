"""A result is described element by element, exactly and by numbers."""

import dataclasses
import subprocess
import sys
from collections import namedtuple

import numpy as np
import pandas as pd
import pytest

from dnaml.execution.summary import Element, elements_of, largest_difference, within


@dataclasses.dataclass
class Fit:
    loss: float
    steps: int


Pair = namedtuple("Pair", ["left", "right"])


@pytest.mark.parametrize(
    ("result", "names"),
    [
        (5, {"result"}),
        ({"a": 1, 2: "x"}, {"result", "result['a']", "result[2]"}),
        ([1, 2], {"result", "result[0]", "result[1]"}),
        (Fit(0.5, 3), {"result", "result.loss", "result.steps"}),
        (Pair(1, 2), {"result", "result.left", "result.right"}),
        (pd.DataFrame({"a": [1], "b": [2]}), {"result", "result['a']", "result['b']"}),
        (list(range(1000)), {"result"}),
        (Fit, {"result"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_top_level_of_a_result_is_named(result: object, names: set[str]) -> None:
    assert set(elements_of(result)) == names


@pytest.mark.parametrize(
    "value",
    [
        1.0, 10**400, 2 + 1j, [1.0, 2.0], [float("inf"), 1.0], np.arange(5.0), np.arange(4) * 1j,
        np.array([1, np.nan, np.inf]), pd.Series([1.0, 2.0]), np.float32(2),
    ],
    ids=repr,
)  # fmt: skip
def test_numeric_elements_agree_with_themselves_and_not_with_their_double(value: object) -> None:
    one = elements_of([value])["result[0]"]
    assert one.numbers
    assert within(one, elements_of([value])["result[0]"], rtol=0, atol=0)
    assert largest_difference(one, one) == 0.0


def test_numbers_within_the_tolerance_agree() -> None:
    one, other, far = (elements_of(np.arange(100.0) + step)["result"] for step in (0.0, 1e-9, 1.0))
    assert not within(one, other, rtol=0, atol=0)
    assert within(one, other, rtol=0, atol=1e-7)
    assert not within(one, far, rtol=1e-3, atol=1e-7)


def test_a_difference_in_one_sampled_item_is_seen() -> None:
    array = np.zeros(64)
    other = array.copy()
    other[10] = 1.0
    assert not within(elements_of(array)["result"], elements_of(other)["result"], rtol=0, atol=0.5)


def test_an_infinity_agrees_with_nothing_finite() -> None:
    infinite, finite = elements_of(float("inf"))["result"], elements_of(1.0)["result"]
    assert not within(infinite, finite, rtol=0.5, atol=0.5)
    assert not within(finite, infinite, rtol=0.5, atol=0.5)


def test_shapes_and_kinds_are_kept_apart() -> None:
    flat, square = elements_of(np.zeros(4))["result"], elements_of(np.zeros((2, 2)))["result"]
    assert (flat.kind, square.kind) == ("float64 [4]", "float64 [2, 2]")
    assert not within(flat, square, rtol=1, atol=1)
    assert largest_difference(flat, square) is None
    text = elements_of("abc")["result"]
    assert text == Element(digest="'abc'", kind="str")
    assert not within(text, text, rtol=1, atol=1)


def test_arrays_without_numbers_have_no_summary() -> None:
    assert elements_of(np.array(["a"]))["result"].numbers == ()
    assert elements_of(np.zeros(0))["result"].numbers == ()
    assert elements_of([])["result"].numbers == ()


def test_tensors_are_summarised() -> None:
    torch = pytest.importorskip("torch")
    one = elements_of(torch.ones(3, dtype=torch.bfloat16, requires_grad=True))["result"]
    assert one.kind == "torch.bfloat16 [3]"
    assert one.numbers[0] == 1.0


def test_a_plain_result_imports_nothing() -> None:
    program = (
        "import sys; from dnaml.execution.capture import terminal_state; terminal_state({'a': [1, 2.0], 'b': 'x'});"
        "print([name for name in ('numpy', 'pandas', 'torch') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
