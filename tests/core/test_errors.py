"""The error tree: as its docstring draws it, and catchable as the built-in errors it promises to be."""

import inspect
import pickle
import re

import pytest

from dnaml.core import errors

CLASSES = [value for _, value in inspect.getmembers(errors, inspect.isclass) if value.__module__ == errors.__name__]


def drawn_tree() -> dict[str, str]:
    """Read from the module's docstring which error stands below which."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"([│├└─ ]*)([A-Z]\w+)", line)
        if found is None or not (line.startswith("DnamlError") or found[1]):
            continue
        depth = len(found[1]) // 4
        path[depth:] = [found[2]]
        if depth:
            parents[found[2]] = path[depth - 1]
    return parents


def test_the_docstring_draws_every_error_below_its_base():
    drawn = drawn_tree()
    assert set(drawn) | {"DnamlError"} == {cls.__name__ for cls in CLASSES}
    for name, parent in drawn.items():
        assert getattr(errors, name).__bases__[0] is getattr(errors, parent), name


@pytest.mark.parametrize(
    ("error", "builtin"),
    [(errors.InputError, ValueError), (errors.MissingExtra, ImportError), (errors.NotFoundError, KeyError)],
)
def test_some_errors_are_also_the_built_in_ones(error, builtin):
    assert issubclass(error, builtin)


def test_an_unknown_id_reads_as_its_message_and_not_as_a_repr():
    assert str(errors.NotFoundError("no job 'x'")) == "no job 'x'"
    assert str(errors.NotFoundError()) == ""


@pytest.mark.parametrize("error", CLASSES, ids=lambda cls: cls.__name__)
def test_errors_survive_the_way_between_processes(error):
    again = pickle.loads(pickle.dumps(error("gpu0: memory_bytes must be positive, got -1")))
    assert type(again) is error
    assert str(again) == "gpu0: memory_bytes must be positive, got -1"
