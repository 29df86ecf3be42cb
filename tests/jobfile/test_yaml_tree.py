"""Careful YAML: lines of keys, text kept as written, and every hostile document refused."""

import pytest

from dnaml.core.errors import InputError
from dnaml.jobfile import yaml_tree
from dnaml.jobfile.yaml_tree import parse


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(lines)


def test_each_key_knows_its_line():
    tree = parse("name: x\nresources:\n  cpus: 4\n  labels:\n    a: b\nrun: [one, two]\n", name="f")
    assert tree.value == {"name": "x", "resources": {"cpus": 4, "labels": {"a": "b"}}, "run": ["one", "two"]}
    assert tree.line(("resources", "cpus")) == 3
    assert tree.line(("resources", "labels", "a")) == 5
    assert tree.line(("resources", "memory")) == 2
    assert tree.line(("run", 1)) == 6
    assert tree.line(("nothing",)) == 1


def test_scalars_stay_as_written_where_asked():
    text = "envs: {A: yes, B: 010, C: 1.10, D: 2026-01-02, E: null}\nargs: [yes, 010, 2026-01-02]\n"
    tree = parse(text, name="f", as_text=lambda path: bool(path) and path[0] == "envs")
    assert tree.value["envs"] == {"A": "yes", "B": "010", "C": "1.10", "D": "2026-01-02", "E": None}
    assert tree.value["args"] == [True, 8, "2026-01-02"]


def test_an_alias_may_be_used_as_long_as_little_comes_of_it():
    assert parse("a: &x [1, 2]\nb: *x\n", name="f").value == {"a": [1, 2], "b": [1, 2]}


def test_an_empty_document_is_nothing():
    assert parse("# only a comment\n", name="f").value is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (bomb(9), r"^f: aliases expand it to \d+ values, at most 20000"),
        ("a: &x [*x]\n", r"^f:1: a value contains itself"),
        ("a: 1\nb: 2\na: 3\n", r"^f:3: key 'a' stands twice"),
        ("a: !!python/object/apply:os.system [echo]\n", r"^f:1: tag .*python.* is not allowed"),
        ("a: !!set {x, y}\n", r"^f:1: tag .*set.* is not allowed"),
        ("a: !mine 3\n", r"^f:1: tag '!mine' is not allowed"),
        ("? [1, 2]\n: 3\n", r"^f:1: a key must be text"),
        ("a: 1\n  b: 2\n", r"^f:2: "),
        ("a: [1, 2\n", r"^f:2: "),
        ("a: 1\n---\nb: 2\n", r"^f:2: "),
        ("a: \x00\n", r"^f: not readable as YAML"),
        ("[" * 40, r"^f:1: nested deeper than 32"),
        ("a: !!int x\n", r"^f:1: !!int cannot hold 'x'"),
    ],
)
def test_what_is_not_a_plain_bounded_document_is_refused_with_its_line(text, says):
    with pytest.raises(InputError, match=says):
        parse(text, name="f")


def test_a_file_of_many_bytes_is_refused_unread():
    with pytest.raises(InputError, match="at most 262144 bytes"):
        parse("a: " + "x" * yaml_tree.MAX_BYTES, name="f")


def test_a_deep_bomb_is_refused_quickly_however_deep():
    with pytest.raises(InputError, match="aliases expand"):
        parse(bomb(28), name="f")
