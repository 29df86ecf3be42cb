"""The initial and the terminal state of a computation: captured, stored, compared, told apart by name."""

import dataclasses
import functools
import threading
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from dnaml.core.errors import InputError
from dnaml.execution.capture import (
    Comparison,
    InitialState,
    TerminalState,
    changed,
    compare,
    initial_state,
    initial_state_of_argv,
    terminal_state,
)
from dnaml.execution.environment import current_environment

FACTOR = 2


def scale(values: Any, factor: float = 1.0, *, mode: str = "plain") -> Any:
    return values * factor * FACTOR


class Counter:
    def __init__(self, start: int) -> None:
        self.start = start

    def count(self, n: int) -> int:
        return self.start + n

    def __call__(self, n: int) -> int:
        return self.start - n


def test_arguments_are_kept_by_the_name_of_their_parameter() -> None:
    state = initial_state(scale, (np.arange(3), 2.0), {"mode": "fast"})
    assert set(state.arguments) == {"values", "factor", "mode"}
    assert state.arguments["factor"] == "2.0"
    assert state.values[f"{__name__}.FACTOR"] == "2"


def test_equal_calls_have_equal_digests_whatever_the_order_of_keywords() -> None:
    one = initial_state(scale, (), {"values": np.arange(3), "mode": "fast"})
    other = initial_state(scale, (), {"mode": "fast", "values": np.arange(3)})
    assert one.digest == other.digest
    assert changed(one, other) == ()


@pytest.mark.parametrize(
    ("args", "kwargs", "told"),
    [
        ((1, 3.0), {"mode": "fast"}, ("argument factor: 2.0 became 3.0",)),
        ((1,), {"mode": "fast"}, ("argument factor: 2.0 became absent",)),
        ((1, 2.0), {"mode": "slow"}, ("argument mode: 'fast' became 'slow'",)),
    ],
)
def test_the_argument_that_differs_is_named(args: Any, kwargs: Any, told: tuple[str, ...]) -> None:
    first = initial_state(scale, (1, 2.0), {"mode": "fast"})
    now = initial_state(scale, args, kwargs)
    assert first.digest != now.digest
    assert changed(first, now) == told


def test_a_method_brings_its_object_and_its_class() -> None:
    one, other = initial_state(Counter(1).count, (5,)), initial_state(Counter(2).count, (5,))
    assert [line.partition(":")[0] for line in changed(one, other)] == ["argument self"]
    assert f"{__name__}.Counter.count" in one.code
    assert f"{__name__}.Counter.__call__" in one.code
    assert initial_state(Counter(1), (5,)).arguments["n"] == "5"


def test_a_partial_is_its_function_with_more_arguments() -> None:
    assert initial_state(functools.partial(scale, 1, mode="fast"), (2.0,)) == initial_state(
        scale, (1, 2.0), {"mode": "fast"}
    )


def test_a_function_given_as_argument_brings_its_code() -> None:
    state = initial_state(map, (scale, [1]))
    assert f"{__name__}.scale" in state.code


def test_a_function_inside_a_librarys_object_brings_its_code() -> None:
    state = initial_state(map, (functools.partial(scale, 1), [1]))
    assert f"{__name__}.scale" in state.code


def test_extra_positional_arguments_and_builtins_are_numbered() -> None:
    assert set(initial_state(max, (1, 2)).arguments) == {"*0", "*1"}


def test_files_among_the_arguments_and_declared_inputs_are_digested(tmp_path: Path) -> None:
    data, extra = tmp_path / "data.csv", tmp_path / "extra.csv"
    data.write_text("1")
    extra.write_text("2")
    first = initial_state(scale, (str(data),), inputs=(extra,))
    assert set(first.inputs) == {str(data), str(extra)}
    data.write_text("changed")
    now = initial_state(scale, (str(data),), inputs=(extra,))
    assert [line.partition(": ")[0] for line in changed(first, now)] == [f"input {data}"]
    with pytest.raises(InputError, match="cannot be read"):
        initial_state(scale, (1,), inputs=(tmp_path / "absent",))


def test_a_call_that_cannot_be_compared_says_so() -> None:
    assert initial_state(scale, (1,)).comparable
    assert not initial_state(scale, (threading.Lock(),)).comparable


def test_another_environment_is_another_initial_state_and_is_told_by_package() -> None:
    now = current_environment()
    other = dataclasses.replace(now, packages={**now.packages, "numpy": "0.1"})
    first, second = initial_state(scale, (1,), environment=now), initial_state(scale, (1,), environment=other)
    assert first.digest != second.digest
    assert first == initial_state(scale, (1,), environment=now.digest)
    assert changed(first, second)[0].startswith("environment ")
    assert changed(first, second, environments=(now, other)) == (f"package numpy: {now.packages['numpy']} became 0.1",)


def test_a_command_is_captured_with_its_program_its_files_and_its_variables(tmp_path: Path) -> None:
    (tmp_path / "train.sh").write_text("echo 1")
    (tmp_path / "data").write_text("x")
    argv = ["sh", "train.sh", "--n", "3"]
    first = initial_state_of_argv(argv, workdir=tmp_path, inputs=("data",), envs={"TOKEN": "secret"})
    assert set(first.code) == {"program", "train.sh"}
    assert set(first.inputs) == {"data"}
    assert "secret" not in msgspec.json.encode(first).decode()
    (tmp_path / "train.sh").write_text("echo 2")
    now = initial_state_of_argv(["sh", "train.sh", "--n", "4"], workdir=tmp_path, inputs=("data",), envs={"TOKEN": "x"})
    names = [line.partition(": ")[0] for line in changed(first, now)]
    assert names == ["code train.sh", "argument argv[3]", "variable TOKEN"]
    with pytest.raises(InputError, match="argv must not be empty"):
        initial_state_of_argv([], workdir=tmp_path)


def test_a_program_beside_the_work_is_found(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("#!/bin/sh\n")
    (tmp_path / "run").chmod(0o755)
    assert "program" in initial_state_of_argv(["./run"], workdir=tmp_path).code
    assert initial_state_of_argv(["no-such-program"], workdir=tmp_path).code == {}


def test_states_survive_json(tmp_path: Path) -> None:
    first = initial_state(scale, (np.arange(3),), {"mode": "x"})
    assert msgspec.json.decode(msgspec.json.encode(first), type=InitialState) == first
    (tmp_path / "out").write_text("1")
    last = terminal_state({"loss": float("nan"), "w": np.arange(3.0)}, outputs=(tmp_path / "out", "absent"))
    again = msgspec.json.decode(msgspec.json.encode(last), type=TerminalState)
    assert again == last
    assert last.outputs["absent"] == "missing"
    assert compare(last, again).repeated


def test_an_equal_result_has_repeated() -> None:
    last = terminal_state({"a": np.arange(5.0), "b": "text"})
    assert compare(last, terminal_state({"b": "text", "a": np.arange(5.0)})) == Comparison(
        repeated=True, differences=(), tolerance="exact"
    )


def test_a_difference_within_the_tolerance_has_repeated_and_one_beyond_is_told_with_its_size() -> None:
    first, now = terminal_state({"loss": 0.5, "n": 3}), terminal_state({"loss": 0.5001, "n": 3})
    exact = compare(first, now)
    assert exact.differences == ("result['loss']: float: 0.5 became 0.5001 (differs by 0.0001)",)
    assert not exact.repeated
    close = compare(first, now, rtol=1e-2)
    assert close.repeated
    assert close.tolerance == "numbers within atol=0 + rtol=0.01 * |first|"
    assert not compare(first, now, atol=1e-6).repeated


@pytest.mark.parametrize(
    ("first", "now", "told"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, "result['b']: only in the second run"),
        ({"a": 1, "b": 2}, {"a": 1}, "result['b']: only in the first run"),
        ("x", 1, "result: str became int"),
        ([1, 2], (1, 2), "result: tuple: "),
        ("a", "b", "result: str: 'a' became 'b'"),
        (threading.Lock(), threading.Lock(), "result: a lock cannot be compared"),
    ],
    ids=["more", "fewer", "kind", "container", "text", "opaque"],
)
def test_what_differs_is_told_by_name(first: object, now: object, told: str) -> None:
    comparison = compare(terminal_state(first), terminal_state(now), rtol=0.5)
    assert not comparison.repeated
    assert any(line.startswith(told) for line in comparison.differences)


def test_an_output_file_that_differs_is_named(tmp_path: Path) -> None:
    out = tmp_path / "model.bin"
    out.write_text("1")
    first = terminal_state(None, outputs=(out,))
    out.write_text("2")
    lines = compare(first, terminal_state(None, outputs=(out,)), rtol=1).differences
    assert [line.startswith(f"output {out}: sha256:") for line in lines] == [True]
    assert "not an output" in compare(first, terminal_state(None)).differences[0]


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_a_tolerance_must_be_a_finite_number(bad: float) -> None:
    with pytest.raises(InputError, match="tolerances must be finite and not negative"):
        compare(terminal_state(1), terminal_state(1), rtol=bad)
