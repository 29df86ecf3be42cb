"""A call is named for its kernel and its size, cheaply and alike in every process."""

import functools
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnaml.core.errors import InputError
from dnaml.execution.capture import initial_state
from dnaml.execution.fingerprint import computation_of, computation_of_argv
from dnaml.execution.fingerprint.naming import _bucket
from tests.speed import cpu_s, least, slowness


def fit(path: Any, trees: int = 100, *, rate: float = 0.1, method: str = "exact", seed: int = 0) -> None: ...


def resumes(n: int, *, context: Any = None) -> None: ...


def many(*items: Any, **options: Any) -> None: ...


class Model:
    def __init__(self, width: int, depth: int = 2) -> None: ...

    def train(self, epochs: int) -> None: ...


def test_the_kernel_is_the_name_the_code_and_the_options() -> None:
    computation = computation_of(fit, ("a.csv",))
    name, at, rest = computation.kernel.partition("@")
    assert name == f"{__name__}.fit"
    assert at
    assert rest.endswith("(method=exact)")
    assert computation_of(fit, ("a.csv",), {"method": "hist"}).kernel.endswith("(method=hist)")
    assert computation_of(fit, (), {"path": 1, "method": "exact"}, name="mine").kernel == "mine(method=exact)"


def test_sizes_are_numbers_lengths_and_shapes_by_parameter() -> None:
    computation = computation_of(fit, ("a.csv", 300), {"rate": 0.2})
    assert computation.size == {"path_len": 5, "trees": 300, "rate": 0.2}
    sizes = {
        (1, 2, 3): {"path_len": 3},
        b"1234": {"path_bytes": 4},
        True: {"path": 1},
        frozenset({1}): {"path_len": 1},
    }
    for value, size in sizes.items():
        assert computation_of(fit, (value,)).size == {"trees": 100, "rate": 0.1, **size}
    assert computation_of(fit, (np.zeros((2, 3)),)).size == {
        "trees": 100, "rate": 0.1, "path_dim0": 2, "path_dim1": 3, "path_bytes": 48,
    }  # fmt: skip
    assert computation_of(fit, (np.int64(7),)).size["path"] == 7
    assert computation_of(fit, (pd.DataFrame({"a": [1, 2]}),)).size["path_dim0"] == 2
    assert "path" not in computation_of(fit, (np.datetime64("2020"),)).size
    assert "path_len" not in computation_of(fit, (object(),)).size


def test_a_default_counts_as_if_it_were_given() -> None:
    assert computation_of(fit, (1,)) == computation_of(fit, (1, 100), {"rate": 0.1, "method": "exact", "seed": 5})
    assert "trees" not in computation_of(fit, (1, None)).size


def test_arrays_count_as_input_bytes() -> None:
    assert computation_of(fit, (np.zeros(10),)).input_bytes == 80
    assert computation_of(fit, (5,)).input_bytes is None


def test_the_size_of_a_file_counts_only_if_its_parameter_is_a_path(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(1000))
    path = str(tmp_path / "data")
    assert computation_of(fit, (path,), paths=("path",)).size["path_bytes"] == 1000
    assert computation_of(fit, (path,), paths=("path",)).input_bytes == 1000
    assert "path_bytes" not in computation_of(fit, (path,)).size
    assert "path_bytes" not in computation_of(fit, (path + "x",), paths=("path",)).size


@given(st.floats(min_value=1e-300, max_value=1e300))
def test_sizes_within_nine_percent_of_a_step_share_a_bucket(value: float) -> None:
    step = 2.0 ** (round(4 * math.log2(value)) / 4)
    near = [step * factor for factor in (0.92, 1.0, 1.08)]
    assert len({_bucket(size) for size in near if not (size <= 8 and size == int(size))}) <= 1
    assert _bucket(value * 1.5) != _bucket(value)
    assert _bucket(-value) == "-" + _bucket(value)


def test_small_whole_numbers_keep_an_id_each() -> None:
    assert [_bucket(value) for value in range(9)] == ["0", "1", "2", "3", "4", "5", "6", "7", "8"]
    ids = {computation_of(fit, (0, trees)).id for trees in range(10_000)}
    assert 40 < len(ids) < 60


def test_calls_of_nearly_one_size_share_an_id_and_keep_their_own_size() -> None:
    one, other = computation_of(fit, (1, 1000)), computation_of(fit, (1, 1024))
    assert one.id == other.id
    assert (one.size["trees"], other.size["trees"]) == (1000, 1024)


def test_seeds_are_no_sizes() -> None:
    assert computation_of(fit, (1,), {"seed": 1}).id == computation_of(fit, (1,), {"seed": 99}).id


def test_what_is_declared_becomes_demand_and_fields() -> None:
    told = {"flop": 1e9, "memory_bytes": 1e6, "input_bytes": 5, "divisible": True, "checkpointable": True}
    computation = computation_of(fit, (1,), declared=told)
    assert computation.demand == {"flop": 1e9}
    assert (computation.memory_bytes, computation.input_bytes) == (1_000_000, 5)
    assert computation.divisible
    assert computation.checkpointable


def test_a_function_that_takes_a_context_can_be_checkpointed() -> None:
    assert computation_of(resumes, (5,)).checkpointable
    assert computation_of(resumes, (5,), {"context": object()}).size == {"n": 5}
    assert not computation_of(fit, (5,)).checkpointable


def test_methods_partials_classes_and_builtins_are_named() -> None:
    assert computation_of(Model(1).train, (3,)).size["epochs"] == 3
    assert computation_of(functools.partial(fit, 1, trees=7)).size["trees"] == 7
    assert computation_of(Model, (64,)).size == {"width": 64, "depth": 2}
    assert computation_of(sorted, ([1],)).kernel.startswith("builtins.sorted@")
    assert computation_of(many, (1, 2, 3), {"n": 4}).size == {"extra_len": 3, "n": 4}


class Each:
    """Calls the function that it holds on each item, and bears its name."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.__qualname__ = function.__qualname__

    def __call__(self, items: Any) -> list[Any]:
        return [self.function(item) for item in items]


def test_an_object_that_bears_its_functions_name_is_named_for_it() -> None:
    one, other = computation_of(Each(fit), ([1, 2],)), computation_of(Each(resumes), ([1, 2],))
    assert one.kernel.startswith(f"{__name__}.fit@")
    assert one.kernel.endswith("(Each)")
    assert one.kernel != other.kernel
    assert one.size["items_len"] == 2


def test_numbers_that_are_no_sizes_are_left_out() -> None:
    computation = computation_of(fit, (float("nan"), 10**400), {"rate": float("inf")})
    assert computation.size == {"trees": 1329.0}


def test_an_option_that_is_no_text_still_names_the_kernel() -> None:
    assert computation_of(fit, (1,), {"method": [1, 2]}).kernel.count("method=sha256:") == 1


def test_code_that_changes_changes_the_kernel() -> None:
    def made(source: str) -> Any:
        space: dict[str, Any] = {"__name__": "made"}
        exec(source, space)
        return space["f"]

    first, again, changed = (made(f"def f(n): return n + {k}") for k in (1, 1, 2))
    assert computation_of(first, (1,)).id == computation_of(again, (1,)).id
    assert computation_of(first, (1,)).id != computation_of(changed, (1,)).id


def test_a_command_is_named_by_its_program_its_files_and_its_numbers(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print(1)")
    (tmp_path / "data").write_bytes(bytes(64))
    argv = ["/usr/bin/python3", "train.py", "--trees", "200", "--fast", "--rate=0.5", "12", "name"]
    computation = computation_of_argv(argv, workdir=tmp_path, inputs=("data",), declared={"flop": 5})
    assert computation.size == {"trees": 200, "rate": 0.5, "argument6": 12, "input0_bytes": 64}
    assert computation.kernel.startswith("python3 train.py@")
    assert computation.kernel.endswith(" --trees --fast")
    assert computation.demand == {"flop": 5}
    assert computation_of_argv(argv, workdir=tmp_path, name="train").kernel == "train"
    (tmp_path / "train.py").write_text("print(2)")
    assert computation_of_argv(argv, workdir=tmp_path).kernel != computation.kernel
    with pytest.raises(InputError, match="argv must not be empty"):
        computation_of_argv([], workdir=tmp_path)


@pytest.mark.serial
def test_naming_and_capturing_a_small_call_takes_microseconds() -> None:

    turn, limit_s = itertools.count(), 25e-6 * slowness()  # 5-8 µs when quiet
    for call in (computation_of, initial_state):
        assert least(cpu_s(lambda call=call: call(resumes, (next(turn),)), each=2000), limit_s) <= limit_s


def test_a_size_of_truth_is_stored_as_a_number():
    size = computation_of(lambda flag: flag, (True,)).size
    assert size == {"flag": 1.0}
    assert type(size["flag"]) is float


def test_a_length_that_cannot_be_told_is_left_out():
    class Unready:
        def __len__(self):
            raise AttributeError("nothing was fitted yet")

    assert computation_of(lambda model: model, (Unready(),)).size == {}
