"""The rules of style that a machine can check: lengths, forbidden habits, and a public surface whose examples run."""

import ast
import doctest
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import dnaml

ROOT = Path(__file__).resolve().parents[1]
CODE_FOLDERS = ("dnaml", "benchmarks", "training", "tests")
TEXT_SUFFIXES = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".json", ".csv", ".html", ".ipynb", ".sh", ""}
PACKAGE_FILES = sorted((ROOT / "dnaml").rglob("*.py"))
CODE_FILES = sorted(file for folder in CODE_FOLDERS for file in (ROOT / folder).rglob("*.py"))
PROJECT_FOLDERS = (*CODE_FOLDERS, ".ci", "data", "docs", "models", "notebooks")
PROJECT_FILES = ("pyproject.toml", "constraints.txt", "Makefile", "README.md", "CONTRIBUTING.md", "CHANGELOG.md")
# What is written on a terminal is the business of these parts alone.
PRINTING = ("dnaml/cli", "dnaml/demo")
PUBLIC: tuple[str, ...] = tuple(getattr(dnaml, "__all__", ()))
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
MACHINE_PATH = re.compile(r"(?<![\w.])/(work|root|home|opt|Users)/|file:///")


def named(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@cache
def parsed(file: Path) -> ast.Module:
    """Parse a file, once for all rules."""
    return ast.parse(file.read_text())


def functions(files: list[Path]) -> Iterator[tuple[str, int]]:
    """Give each function of the files with its length, from `def` to its last line."""
    for file in files:
        for node in ast.walk(parsed(file)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                yield f"{named(file)}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def project_texts() -> Iterator[Path]:
    """Give every text of the project but this file, whose patterns would find themselves."""
    folders = [folder for folder in ROOT.iterdir() if folder.is_dir() and folder.name in PROJECT_FOLDERS]
    files = [file for file in ROOT.iterdir() if file.is_file() and file.name in PROJECT_FILES]
    files += [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    for file in sorted(files):
        if file.suffix in TEXT_SUFFIXES and "__pycache__" not in file.parts and file != Path(__file__).resolve():
            yield file


def test_no_file_is_longer_than_400_lines():
    lengths = {named(file): len(file.read_text().splitlines()) for file in CODE_FILES}
    assert not {name: length for name, length in lengths.items() if length > 400}


def test_no_function_is_longer_than_60_lines():
    assert not [(name, length) for name, length in functions(CODE_FILES) if length > 60]


def test_nine_functions_of_ten_are_shorter_than_30_lines():
    lengths = [length for _, length in functions(PACKAGE_FILES)]
    assert sum(length < 30 for length in lengths) >= 0.9 * len(lengths)


def test_no_file_is_named_for_leftovers():
    leftovers = {"utils.py", "util.py", "common.py", "helpers.py", "misc.py"}
    assert not [named(file) for file in CODE_FILES if file.name in leftovers]


def test_every_module_says_what_it_is():
    assert not [named(file) for file in CODE_FILES if parsed(file).body and not ast.get_docstring(parsed(file))]


def test_nothing_is_left_unfinished():
    assert not [
        f"{named(file)}:{number}"
        for file in project_texts()
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        if UNFINISHED.search(line)
    ]


def test_no_except_is_bare():
    assert not [
        f"{named(file)}:{node.lineno}"
        for file in CODE_FILES
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]


def test_the_library_does_not_print():
    assert not [
        f"{named(file)}:{node.lineno}"
        for file in PACKAGE_FILES
        if not named(file).startswith(PRINTING)
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


def test_core_and_schedule_exclude_no_line_from_coverage():
    pure = [file for file in PACKAGE_FILES if named(file).startswith(("dnaml/core/", "dnaml/schedule/"))]
    assert not [named(file) for file in pure if "pragma: no cover" in file.read_text()]


def test_the_text_of_the_project_names_no_path_of_one_machine():
    assert not [
        f"{named(file)}:{number}: {found.group()}"
        for file in project_texts()
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        if (found := MACHINE_PATH.search(line))
    ]


def test_the_public_surface_is_small_and_sorted():
    assert 0 < len(PUBLIC) <= 20
    assert list(PUBLIC) == sorted(set(PUBLIC))


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_a_docstring_whose_example_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    text = getattr(dnaml, name).__doc__
    assert text, f"dnaml.{name} has no docstring"
    example = doctest.DocTestParser().get_doctest(text, {"dnaml": dnaml}, f"dnaml.{name}", None, 0)
    assert example.examples, f"dnaml.{name} has no example in its docstring"
    complaints: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(example, out=complaints.append)
    assert runner.failures == 0, "".join(complaints)
