"""What travels to workers and back, what cannot, and how each refusal names the thing."""

import functools
import math
import pickle
import subprocess
import sys
import threading

import pytest

from dnaml.core.errors import InputError, UnpicklableError
from dnaml.execution import pickling
from dnaml.execution.pickling import (
    by_name,
    digest,
    dumps,
    dumps_arguments,
    dumps_exception,
    dumps_function,
    loads,
    named,
)


def double(x: int, *, by: int = 2) -> int:
    return x * by


class Grumpy:
    def __reduce__(self):
        raise RuntimeError("not today")


class Cell:
    def __init__(self, value: int) -> None:
        self.value = value

    def add(self, x: int) -> int:
        return self.value + x


class TwoArguments(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} {b}")


@pytest.mark.parametrize(
    "value", [None, True, 3, 2**100, 1.5, math.inf, 1j, "text", b"bytes", [1, {"a": (2, {3})}], lambda: 5, Cell(1)]
)
def test_a_value_comes_back(value):
    again = loads(dumps(value))
    assert type(again).__name__ == type(value).__name__
    if not callable(value) and not isinstance(value, Cell):
        assert again == value


def test_plain_values_need_no_cloudpickle():
    script = (
        "import sys; from dnaml.execution.pickling import dumps, dumps_arguments;"
        "dumps(3.5); dumps_arguments((1, 'a'), {'b': None}); print('cloudpickle' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout == b"False\n"


@pytest.mark.parametrize("value", [threading.Lock(), Grumpy(), [threading.Lock()]])
def test_what_cannot_travel_is_refused_by_its_type(value):
    with pytest.raises(UnpicklableError, match=f"{type(value).__qualname__} cannot be pickled: "):
        dumps(value)


def test_arguments_come_back():
    for args, kwargs in (((), {}), ((1, "a"), {"b": 2.0}), (([1],), {"f": double})):
        assert loads(dumps_arguments(args, kwargs)) == (args, kwargs)


def test_the_argument_that_cannot_travel_is_named():
    with pytest.raises(UnpicklableError, match="argument 1: lock cannot be pickled"):
        dumps_arguments((1, threading.Lock()), {})
    with pytest.raises(UnpicklableError, match="model: Grumpy cannot be pickled: not today"):
        dumps_arguments((1,), {"a": [1], "model": Grumpy()})


def test_arguments_that_only_together_cannot_travel_are_refused_too(monkeypatch):
    class Once:
        """Travels the second time only."""

        def __init__(self) -> None:
            self.asked = 0

        def __reduce__(self):
            self.asked += 1
            if self.asked == 1:
                raise RuntimeError("not yet")
            return (int, ())

    with pytest.raises(UnpicklableError, match="tuple cannot be pickled: not yet"):
        dumps_arguments((Once(),), {})


def test_a_function_comes_back_with_the_digest_of_its_bytes():
    body, name = dumps_function(double)
    assert name == digest(body)
    assert loads(body)(4, by=3) == 12


def test_a_function_that_cannot_change_is_pickled_once():
    assert dumps_function(double)[0] is dumps_function(double)[0]


def test_a_function_that_carries_what_may_change_is_pickled_each_time():
    counts = [1]

    def first() -> int:
        return counts[0]

    before, _ = dumps_function(first)
    counts[0] = 2
    after, _ = dumps_function(first)
    assert (loads(before)(), loads(after)()) == (1, 2)


def own_main(source: str) -> list[bool]:
    """Say for each function of a script run as __main__ whether its pickle is kept."""
    script = source + (
        "\nfrom dnaml.execution.pickling import dumps_function\n"
        "for f in functions: print(dumps_function(f)[0] is dumps_function(f)[0])\n"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    return [line == "True" for line in told.stdout.split()]


def test_functions_of_the_main_script_are_kept_only_if_nothing_outside_them_can_change():
    source = (
        "rate = 3\n"
        "def pure(x): return x + 1\n"
        "def uses_global(x): return x * rate\n"
        "def nested(x): return [y for y in range(x)] and (lambda: rate)()\n"
        "def keyword(x, *, by=[]): return by\n"
        "def default(x, by={}): return by\n"
        "def plain(x, by=1, *, to='a'): return by\n"
        "def marked(x): return x\n"
        "marked.seen = []\n"
        "def make():\n    inner = 1\n    return lambda: inner\n"
        "functions = [pure, plain, uses_global, nested, keyword, default, marked, make()]\n"
    )
    assert own_main(source) == [True, True, False, False, False, False, False, False]


def test_callables_that_are_no_functions_travel_too():
    for function, expected in ((functools.partial(double, by=5), 15), (Cell(4).add, 7), (math.sqrt, math.sqrt(3))):
        assert loads(dumps_function(function)[0])(3) == expected


def test_a_function_that_cannot_travel_is_named():
    lock = threading.Lock()

    def guarded() -> None:
        lock.acquire()

    with pytest.raises(UnpicklableError, match=r"function .*guarded cannot be sent to a worker: .*pickle"):
        dumps_function(guarded)
    nameless = functools.partial(double, by=lock)
    with pytest.raises(UnpicklableError, match=r"function functools.partial\(.* cannot be sent to a worker"):
        dumps_function(nameless)


def test_an_exception_comes_back_or_is_left_out():
    again = loads(dumps_exception(ValueError("no", 3)))
    assert (type(again), again.args) == (ValueError, ("no", 3))
    assert dumps_exception(TwoArguments(1, 2)) == b""  # it would raise when it is rebuilt
    broken = ValueError("no")
    broken.lock = threading.Lock()
    assert dumps_exception(broken) == b""


def test_a_function_is_found_again_by_its_name():
    assert named(math.hypot) == "math:hypot"
    assert by_name("math:hypot") is math.hypot
    assert by_name("concurrent.futures:Future.cancel") is __import__("concurrent.futures").futures.Future.cancel
    assert "functools.partial" in named(functools.partial(double))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("math.hypot", "a function is named module:function, got 'math.hypot'"),
        (":hypot", "a function is named module:function, got ':hypot'"),
        ("math:", "a function is named module:function, got 'math:'"),
        ("no_such_module:f", "no_such_module:f: No module named 'no_such_module'"),
        ("math:no_such", "math:no_such: module 'math' has no attribute 'no_such'"),
        ("math:pi", "math:pi: is a float, not a function"),
    ],
)
def test_a_name_that_is_no_functions_is_refused(name, said):
    with pytest.raises(InputError, match=said):
        by_name(name)


def test_plain_pickle_bytes_are_read_as_they_are():
    assert pickling.loads(pickle.dumps({"a": 1})) == {"a": 1}
