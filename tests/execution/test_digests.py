"""Equal values give equal digests, in any process; different ones differ."""

import dataclasses
import datetime
import decimal
import enum
import functools
import os
import pathlib
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnaml.execution.digests import code_digest, digest_of, is_opaque, mapping_digest, short_digest, text_digest


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int


class Node:
    def __init__(self, value: int) -> None:
        self.value = value
        self.others: list[Node] = []


class Refuses:
    def __reduce_ex__(self, protocol: int) -> str:
        raise ValueError("not for you")


PAIRS = [
    (1, True),
    (1, 1.0),
    (0.0, -0.0),
    ("a", b"a"),
    ([1, 2], (1, 2)),
    ([1, [2]], [[1], 2]),
    (["ab", "c"], ["a", "bc"]),
    ({1, 2}, frozenset({1, 3})),
    ({"a": 1}, {"a": 2}),
    (list(range(100)), [*range(99), 100]),
    (Colour.RED, Colour.BLUE),
    (Point(1, 2), Point(2, 1)),
    (decimal.Decimal("1.0"), decimal.Decimal("1.00")),
    (datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)),
    (range(3), range(4)),
    (slice(1, 2), slice(1, 3)),
    (pathlib.Path("a"), pathlib.Path("b")),
    (functools.partial(max, 1), functools.partial(max, 2)),
    (int, float),
    (os, sys),
    (len, max),
    (lambda x: x + 1, lambda x: x + 2),
    (lambda x=1: x, lambda x=2: x),
    (np.arange(3), np.arange(3.0)),
    (np.zeros((2, 3)), np.zeros((3, 2))),
    (np.float32(1), np.float64(1)),
    (np.array(["a", None], dtype=object), np.array(["a", "b"], dtype=object)),
    (np.array([(1, 2.0)], dtype="i4,f8"), np.array([(1, 3.0)], dtype="i4,f8")),
    (np.datetime64("2020"), np.datetime64("2021")),
    (pd.Series([1, 2]), pd.Series([1, 2], index=[5, 6])),
    (pd.Series([1, 2], name="a"), pd.Series([1, 2], name="b")),
    (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})),
    (pd.DataFrame({"a": ["x", None]}), pd.DataFrame({"a": ["x", "y"]})),
    (pd.Series(pd.to_datetime(["2020"]).tz_localize("UTC")), pd.Series(pd.to_datetime(["2021"]).tz_localize("UTC"))),
    (pd.Series(["a"], dtype="category"), pd.Series(["b"], dtype="category")),
    (pd.MultiIndex.from_tuples([(1, 2)]), pd.MultiIndex.from_tuples([(1, 3)])),
]


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda value: type(value).__name__)
def test_different_values_have_different_digests(first: object, second: object) -> None:
    assert digest_of(first) == digest_of(first)
    assert digest_of(first) != digest_of(second)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_a_copy_that_went_through_pickle_has_the_same_digest(value: object) -> None:
    import pickle

    assert digest_of(pickle.loads(pickle.dumps(value))) == digest_of(value)


@given(st.dictionaries(st.text(), st.integers(), max_size=6), st.sets(st.text(), max_size=6))
def test_neither_dictionaries_nor_sets_depend_on_order(mapping: dict[str, int], items: set[str]) -> None:
    assert digest_of(dict(reversed(mapping.items()))) == digest_of(mapping)
    other: set[str] = set()
    for item in sorted(items, reverse=True):
        other.add(item)
    assert digest_of(other) == digest_of(items)


def test_digests_do_not_depend_on_the_process_and_its_hash_seed() -> None:
    program = (
        "from dnaml.execution.digests import short_digest, code_digest\n"
        "def f(x): return x in {'a', 'b', 'c', 'd'}\n"
        "print(short_digest({'a', 'b', 'c', 'd', 1.5, None, (1, 'x')}), code_digest(f.__code__))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1


def test_short_scalars_read_as_themselves() -> None:
    assert [short_digest(value) for value in (5, 1.5, True, None, "abc")] == ["5", "1.5", "True", "None", "'abc'"]
    assert short_digest("x" * 41).startswith("sha256:")


def test_arrays_are_digested_alike_whatever_their_memory_layout() -> None:
    array = np.arange(12).reshape(3, 4)
    assert digest_of(np.asfortranarray(array)) == digest_of(array)
    assert digest_of(np.zeros((2, 12))[:, ::3]) == digest_of(np.zeros((2, 4)))
    assert digest_of(np.empty((0, 3))) != digest_of(np.empty((3, 0)))


def test_tensors_are_digested_by_dtype_and_content() -> None:
    torch = pytest.importorskip("torch")
    one = torch.ones(3, dtype=torch.bfloat16)
    assert digest_of(one) == digest_of(torch.ones(6, dtype=torch.bfloat16)[::2])
    assert digest_of(one) != digest_of(torch.ones(3, dtype=torch.float16))
    sparse = torch.eye(3).to_sparse()
    assert digest_of(sparse) == digest_of(torch.eye(3).to_sparse())
    assert digest_of(sparse) != digest_of(torch.zeros(3, 3).to_sparse())
    assert digest_of(torch.nn.Parameter(torch.ones(2), requires_grad=True)) is not None


def test_a_graph_of_objects_that_point_at_each_other_is_walked_once() -> None:
    def ring(value: int) -> Node:
        nodes = [Node(value) for _ in range(30)]
        for node in nodes:
            node.others = nodes
        return nodes[0]

    assert digest_of(ring(1)) == digest_of(ring(1))
    assert digest_of(ring(1)) != digest_of(ring(2))


def test_a_list_that_holds_itself_has_a_digest() -> None:
    loop: list[object] = [1]
    loop.append(loop)
    assert digest_of(loop) == digest_of(loop)


def test_functions_differ_by_the_values_they_close_over() -> None:
    def adder(step: int):  # type: ignore[no-untyped-def]
        return lambda x: x + step

    assert digest_of(adder(1)) == digest_of(adder(1))
    assert digest_of(adder(1)) != digest_of(adder(2))


def test_code_is_the_same_wherever_it_stands_in_a_file() -> None:
    source = "def f(x):\n    return [y + 1 for y in x]\n"
    spaces: list[dict[str, object]] = [{}, {}]
    exec(compile(source, "a.py", "exec"), spaces[0])
    exec(compile("\n\n\n" + source, "b.py", "exec"), spaces[1])
    first, second = (space["f"].__code__ for space in spaces)  # type: ignore[attr-defined]
    assert code_digest(first) == code_digest(second)


@pytest.mark.parametrize("value", [threading.Lock(), (i for i in ()), Refuses()], ids=["lock", "generator", "refuses"])
def test_what_has_no_content_is_opaque(value: object) -> None:
    assert is_opaque(short_digest(value))
    assert is_opaque(short_digest([value]))
    assert not is_opaque(short_digest(1))


def test_what_is_nested_too_deep_is_opaque() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert is_opaque(short_digest(deep))


def test_texts_are_not_run_together() -> None:
    assert text_digest(("a", "b")) != text_digest(("ab",))
    assert mapping_digest({"a": "1", "b": "2"}) == mapping_digest({"b": "2", "a": "1"})
    assert mapping_digest({"a": "b"}) != mapping_digest({"b": "a"})
