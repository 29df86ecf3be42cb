"""State of any shape comes back equal, of the same type, and with what was one object still one object."""

import datetime
import itertools
import math
import random
from collections import Counter, OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dnaml.core.errors import CorruptError, UnpicklableError
from dnaml.execution import state_codec, tensors
from dnaml.execution.state_codec import Packed

Point = namedtuple("Point", "x y")


@dataclass
class Note:
    """Is a class of the user."""

    text: str


class Counting:
    """Is an iterator with state, as loaders of data are."""

    def __init__(self) -> None:
        self.at = 0

    def state_dict(self) -> dict[str, int]:
        return {"at": self.at}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.at = state["at"]


def back(state: Any) -> tuple[Any, Packed]:
    packed = state_codec.pack(state)
    head, order = tensors.header(packed.arrays)
    section = bytearray(head + b"".join(bytes(packed.arrays[number].view()) for number in order))
    return state_codec.unpack(packed.tree, packed.pickle, tensors.readers(memoryview(section))), packed


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
    | st.complex_numbers(allow_nan=False),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner)
    | st.sets(st.integers()) | st.frozensets(st.text()) | st.lists(st.integers(), min_size=9),
    max_leaves=30,
)  # fmt: skip


def typed(value: Any) -> Any:
    """Return a value that equals another only if all types inside are equal too."""
    if isinstance(value, list | tuple):
        return type(value), [typed(item) for item in value]
    if isinstance(value, dict):
        return type(value), [(typed(key), typed(item)) for key, item in value.items()]
    return type(value), value


@given(state=PLAIN)
def test_plain_state_comes_back_equal_in_value_type_and_order_without_a_pickle(state: Any) -> None:
    again, packed = back(state)
    assert typed(again) == typed(state)
    assert packed.pickle == b""


def test_text_that_is_not_unicode_is_pickled_and_comes_back() -> None:
    state = {"path": "caf\udce9", "plain": ["é", "b"], "number": 2**70}
    again, packed = back(state)
    assert again == state
    assert packed.pickle


@pytest.mark.parametrize(
    "value",
    [Point(1, 2), Counter("aab"), Note("x"), datetime.datetime(2020, 1, 1), range(3), bytearray(b"x"), np.dtype("f4")],
    ids=lambda value: type(value).__name__,
)
def test_what_is_neither_plain_nor_an_array_is_pickled_and_flagged(value: Any) -> None:
    again, packed = back({"value": value, "twice": value})
    assert (again["value"], type(again["value"])) == (value, type(value))
    assert again["twice"] is again["value"]
    assert packed.pickle


def test_random_generators_go_on_where_they_were() -> None:
    state = {"numpy": np.random.default_rng(1), "python": random.Random(1)}
    state["numpy"].random(10)
    again, _ = back(state)
    assert again["numpy"].random() == state["numpy"].random()
    assert again["python"].random() == state["python"].random()


def test_numpy_scalars_keep_their_type() -> None:
    state = [np.float64(1.5), np.int8(-3), np.datetime64("2020-01-01"), np.str_("x"), np.bool_(True)]
    again, packed = back(state)
    assert [(type(item), item) for item in again] == [(type(item), item) for item in state]
    assert not packed.pickle


def test_one_array_in_two_places_is_stored_once_and_stays_one_array() -> None:
    array = np.arange(5)
    again, packed = back({"a": array, "b": [array]})
    assert len(packed.arrays) == 1
    assert again["a"] is again["b"][0]


def test_containers_that_hold_each_other_come_back_so() -> None:
    state: dict[str, Any] = {"list": [1, 2], "numbers": {3, 4}, "ordered": OrderedDict(a=1)}
    state |= {"self": state, "again": state["list"], "tuple": (state["numbers"], state["ordered"])}
    again, packed = back(state)
    assert again["self"] is again
    assert again["again"] is again["list"]
    assert again["tuple"][0] is again["numbers"]
    assert again["tuple"][1] is again["ordered"]
    assert not packed.pickle


def test_a_model_and_its_optimiser_come_back_as_state_that_they_load() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimiser = torch.optim.Adam(model.parameters())
    model(torch.rand(8, 3)).sum().backward()
    optimiser.step()
    again, packed = back({"model": model, "optimiser": optimiser.state_dict(), "loader": Counting()})
    assert not packed.pickle
    assert again["model"]._metadata == model.state_dict()._metadata
    assert again["loader"] == {"at": 0}
    other = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    other.load_state_dict(again["model"])
    other_optimiser = torch.optim.Adam(other.parameters())
    other_optimiser.load_state_dict(again["optimiser"])
    for side, opt in ((model, optimiser), (other, other_optimiser)):
        opt.zero_grad()
        side(torch.ones(2, 3) * torch.arange(2)[:, None]).square().sum().backward()
        opt.step()
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def test_what_is_nested_too_deep_is_left_to_the_pickle() -> None:
    state: list[Any] = []
    for _ in range(150):
        state = [state, "x"]
    again, packed = back(state)
    assert again == state
    assert packed.pickle


@pytest.mark.parametrize("value", [(i for i in range(3)), open], ids=["generator", "function"])
def test_only_what_cannot_be_pickled_is_refused_by_the_name_of_its_type(value: Any) -> None:
    if callable(value):
        assert back([value])[0] == [value]
        return
    with pytest.raises(UnpicklableError, match=r"checkpoint state must be picklable, got generator: "):
        state_codec.pack({"loader": value})


def test_an_iterator_class_resumes_where_a_generator_could_not() -> None:
    again, _ = back(itertools.count(5, 2))
    assert [next(again), next(again)] == [5, 7]


def test_a_default_dict_keeps_its_default() -> None:
    again, _ = back(defaultdict(list, a=[1]))
    assert again["b"] == []


def test_nan_and_negative_zero_survive() -> None:
    again, _ = back([float("nan"), -0.0, math.inf] * 4)
    assert math.isnan(again[0])
    assert math.copysign(1, again[1]) == -1


@pytest.mark.parametrize("node", [[9, 0], [99], [12, 3], [10, 0], [7, "z"], [0, None], [2, [1], []]])
def test_a_tree_that_refers_to_nothing_stored_is_refused(node: list[Any]) -> None:
    with pytest.raises(CorruptError, match="state tree"):
        state_codec.unpack(msgspec.msgpack.encode(node), b"", [])


def test_a_tree_that_is_no_msgpack_is_refused() -> None:
    with pytest.raises(CorruptError, match="state tree"):
        state_codec.unpack(b"\xc1", b"", [])
