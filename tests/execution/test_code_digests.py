"""The code behind a callable: everything of the user's own that it names, and every change of it."""

import gc
import importlib
import math
import subprocess
import sys
import textwrap
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dnaml.execution.code_digests import Code, code_of


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Write and import modules of the user's own; gone again after the test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def written(name: str, source: str) -> ModuleType:
        path = tmp_path / (name.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
        importlib.invalidate_caches()
        sys.modules.pop(name, None)
        return importlib.import_module(name)

    yield written
    for name in set(sys.modules) - before:
        del sys.modules[name]


MINE = """
    import math
    import numpy as np
    import helpers_of_mine
    from helpers_of_mine import shift as moved

    FACTOR = 3
    TABLE = [1, 2]

    def helper(x):
        return x * FACTOR + math.pi

    def run(x):
        return helper(moved(x)) + helpers_of_mine.scale(x) + TABLE[0] + np.float64(len([x]))

    def alone(x):
        return x
"""
HELPERS = """
    UNUSED = 1
    def shift(x): return x + 1
    def scale(x): return x * 2
    def unused(x): return x
"""


def test_every_function_and_constant_of_the_users_own_is_found(write: Any) -> None:
    write("helpers_of_mine", HELPERS)
    code = code_of(write("mine", MINE).run)
    assert set(code.members) == {"mine.run", "mine.helper", "helpers_of_mine.shift", "helpers_of_mine.scale"}
    assert code.values["mine.FACTOR"] == "3"
    assert set(code.values) == {"mine.FACTOR", "mine.TABLE"}


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("x * FACTOR", "x / FACTOR", False),
        ("FACTOR = 3", "FACTOR = 4", False),
        ("TABLE = [1, 2]", "TABLE = [1, 3]", False),
        ("def alone(x):\n        return x", "def alone(x):\n        return x + 1", True),
        ("def helper(x):", "# a comment\n    def helper(x):", True),
    ],
)
def test_only_changes_that_the_function_can_see_count(write: Any, old: str, new: str, same: bool) -> None:
    write("helpers_of_mine", HELPERS)
    first = code_of(write("mine", MINE).run)
    assert old in MINE
    second = code_of(write("mine", MINE.replace(old, new)).run)
    assert (first.digest == second.digest) is same


def test_the_kernel_stays_when_only_constants_change(write: Any) -> None:
    write("helpers_of_mine", HELPERS)
    first = code_of(write("mine", MINE).run)
    second = code_of(write("mine", MINE.replace("FACTOR = 3", "FACTOR = 4")).run)
    assert first.kernel == second.kernel
    assert first.digest != second.digest


def test_what_is_redefined_between_two_calls_is_seen(write: Any) -> None:
    write("helpers_of_mine", HELPERS)
    mine = write("mine", MINE)
    codes = [code_of(mine.run)]
    assert code_of(mine.run) is codes[0]
    mine.FACTOR = 5
    codes.append(code_of(mine.run))
    mine.TABLE.append(9)
    codes.append(code_of(mine.run))
    mine.helper = lambda x: x
    codes.append(code_of(mine.run))
    mine.helper.__code__ = (lambda x: x + 2).__code__
    codes.append(code_of(mine.run))
    mine.run.__defaults__ = (1,)
    codes.append(code_of(mine.run))
    mine.run.__code__ = mine.alone.__code__
    codes.append(code_of(mine.run))
    assert len({code.digest for code in codes}) == len(codes)


def test_the_same_source_gives_the_same_digest_in_another_process(write: Any, tmp_path: Path) -> None:
    write("helpers_of_mine", HELPERS)
    here = code_of(write("mine", MINE).run)
    program = "import mine; from dnaml.execution.code_digests import code_of; print(code_of(mine.run).digest)"
    told = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {program}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.strip() == here.digest


def test_a_module_that_is_imported_inside_a_function_counts_by_its_file_and_what_it_imports(
    write: Any, tmp_path: Path
) -> None:
    write("package_of_mine.__init__", "")
    write("package_of_mine.deep", "VALUE = 1")
    (tmp_path / "inner_of_mine.py").write_text("from package_of_mine import deep\nimport json, no_such_module")
    mine = write("mine", "def run():\n    import inner_of_mine, json, numpy\n    return inner_of_mine")
    first = code_of(mine.run)
    assert set(first.members) == {"mine.run", "inner_of_mine.py", "deep.py", "__init__.py"}
    (tmp_path / "package_of_mine" / "deep.py").write_text("VALUE = 2")
    assert code_of(mine.run).digest != first.digest


def test_a_relative_import_inside_a_function_is_followed(write: Any) -> None:
    write("package_of_mine.__init__", "")
    write("package_of_mine.deep", "VALUE = 1")
    mine = write("package_of_mine.mine", "def run():\n    from . import deep\n    return deep.VALUE")
    assert "deep.py" in code_of(mine.run).members


def test_a_module_passed_around_counts_by_its_file(write: Any) -> None:
    write("helpers_of_mine", HELPERS)
    mine = write("mine", "import helpers_of_mine\ndef run(f): return f(helpers_of_mine)")
    assert "helpers_of_mine.py" in code_of(mine.run).members


CLASSES = """
    import enum
    import dataclasses
    import functools

    class Kind(enum.Enum):
        A = 1

    @dataclasses.dataclass
    class Base:
        size: int = 1
        def grow(self): return self.size + 1

    class Thing(Base):
        RATE = 2
        @staticmethod
        def fixed(): return 1
        @classmethod
        def make(cls): return cls()
        @property
        def double(self): return self.size * 2
        @functools.cached_property
        def triple(self): return self.size * 3

    INSTANCE = Thing()
    @functools.lru_cache
    def kept(x): return x
    part = functools.partial(kept, 2)
    bound = INSTANCE.grow

    def run(): return Thing().grow() + kept(1) + part() + bound() + INSTANCE.size + Kind.A.value
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("self.size + 1", "self.size + 2"),
        ("RATE = 2", "RATE = 3"),
        ("def fixed(): return 1", "def fixed(): return 2"),
        ("return cls()", "return cls(2)"),
        ("self.size * 2", "self.size * 4"),
        ("self.size * 3", "self.size * 9"),
        ("def kept(x): return x", "def kept(x): return -x"),
        ("(kept, 2)", "(kept, 3)"),
        ("A = 1", "A = 2"),
        ("INSTANCE = Thing()", "INSTANCE = Thing(7)"),
    ],
)
def test_classes_wrappers_partials_and_instances_are_looked_into(write: Any, old: str, new: str) -> None:
    first = code_of(write("mine", CLASSES).run)
    assert "mine.Thing.grow" in first.members or "mine.Base.grow" in first.members
    assert old in CLASSES
    assert code_of(write("mine", CLASSES.replace(old, new)).run).digest != first.digest


def test_an_edited_method_is_seen(write: Any) -> None:
    mine = write("mine", CLASSES)
    first = code_of(mine.run)
    mine.Base.grow = lambda self: 99
    assert code_of(mine.run).digest != first.digest


def test_closures_lambdas_and_recursion_are_looked_into() -> None:
    def outer(step: Any) -> Any:
        def inner(x: int) -> Any:
            return inner(x - 1) if x else step

        return inner

    assert code_of(outer(1)).digest == code_of(outer(1)).digest
    assert code_of(outer(1)).digest != code_of(outer(2)).digest
    assert code_of(outer(lambda: 1)).digest != code_of(outer(lambda: 2)).digest
    assert code_of(lambda: math.pi).digest != code_of(lambda: math.e).digest


def test_a_changed_closure_is_seen() -> None:
    step = 1

    def run() -> int:
        return step

    first = code_of(run)
    step = 2
    assert code_of(run).digest != first.digest


def test_two_functions_of_one_name_are_both_kept(write: Any) -> None:
    mine = write("mine", "a = lambda: 1\nb = lambda: 2\ndef run(): return a() + b()")
    assert {"mine.<lambda>", "mine.<lambda>#2"} <= set(code_of(mine.run).members)


def test_a_builtin_is_its_name() -> None:
    assert code_of(len) == Code(
        members={"builtins.len": "builtins.len"}, values={}, digest=code_of(len).digest, kernel=code_of(len).kernel
    )
    assert code_of(len).digest != code_of(max).digest


def test_library_functions_are_named_but_not_followed(write: Any) -> None:
    mine = write("mine", "from math import sqrt as root\nfrom json import dumps\ndef run(x): return dumps(root(x))")
    code = code_of(mine.run)
    assert set(code.members) == {"mine.run"}
    assert code.values == {"mine.root": "math.sqrt", "mine.dumps": "json.dumps"}


def test_nothing_is_kept_alive_by_the_memory_of_walks() -> None:
    def make() -> Any:
        held = bytearray(10)
        return lambda: held

    fn = make()
    code_of(fn)
    gone = weakref.ref(fn)
    del fn
    gc.collect()
    assert gone() is None


def test_a_decorated_function_is_walked_to_its_core(write: Any) -> None:
    source = """
        import functools
        def loud(f):
            @functools.wraps(f)
            def wrapper(*args): return f(*args)
            return wrapper
        @loud
        def run(x): return x + 1
    """
    first = code_of(write("mine", source).run)
    assert code_of(write("mine", source.replace("x + 1", "x + 2")).run).digest != first.digest
