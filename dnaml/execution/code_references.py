"""What names a code object reads and what it imports, and which modules are libraries rather than the user's own."""

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dis

_GLOBAL_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_ATTRIBUTE_LOADS = frozenset({"LOAD_ATTR", "LOAD_METHOD"})


@dataclass(frozen=True, slots=True)
class Reference:
    """A global name and the attributes read from it at once: `numpy.linalg.norm` is numpy, (linalg, norm)."""

    name: str
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Import:
    """An import statement inside a function: its dots, its module and the names it takes."""

    level: int
    module: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class References:
    """All that a code object, with the functions written inside it, takes from outside."""

    names: tuple[Reference, ...]
    imports: tuple[Import, ...]


@lru_cache(maxsize=4096)
def references(code: CodeType) -> References:
    """Return what a code object takes from outside, in the order of its instructions, each once."""
    import dis  # here, as `ast` and `sysconfig` below: workers import this module and seldom need them

    names: dict[Reference, None] = {}
    imports: dict[Import, None] = {}
    instructions = list(dis.get_instructions(code))
    for index, instruction in enumerate(instructions):
        if instruction.opname in _GLOBAL_LOADS:
            names[Reference(instruction.argval, _attributes(instructions, index))] = None
        elif instruction.opname == "IMPORT_NAME":
            level, taken = (instructions[index - back].argval for back in (2, 1))
            imports[Import(level or 0, instruction.argval, tuple(taken or ()))] = None
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner = references(constant)
            names.update(dict.fromkeys(inner.names))
            imports.update(dict.fromkeys(inner.imports))
    return References(tuple(names), tuple(imports))


def _attributes(instructions: "list[dis.Instruction]", index: int) -> tuple[str, ...]:
    chain: list[str] = []
    for instruction in instructions[index + 1 :]:
        if instruction.opname not in _ATTRIBUTE_LOADS:
            break
        chain.append(instruction.argval)
    return tuple(chain)


@lru_cache(maxsize=4096)
def is_library(module: str) -> bool:
    """Say whether a module belongs to Python, to an installed package or to dnaml itself."""
    top = module.partition(".")[0]
    if top == "dnaml" or top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return True
    if module == "__main__" or module not in sys.modules:
        return False
    return in_library(getattr(sys.modules[module], "__file__", None))


def in_library(file: str | None) -> bool:
    """Say whether a source file belongs to Python or to an installed package."""
    if file is None:
        return False
    real = os.path.realpath(file)
    return real.startswith(_library_folders()) or "site-packages" in real or "dist-packages" in real


@cache
def _library_folders() -> tuple[str, ...]:
    import sysconfig

    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple({os.path.realpath(sysconfig.get_path(name)) + os.sep for name in names})


def imported_files(imports: Iterable[Import], package: str) -> list[Path]:
    """Return the user's own source files that import statements lead to, directly or through each other, sorted.

    Nothing is imported for it: files are found on the path and read.
    """
    found: dict[Path, None] = {}
    waiting = [(item, package) for item in imports]
    while waiting:
        item, base = waiting.pop()
        for name in _module_names(item, base):
            file = _source(name)
            if file is not None and file not in found:
                found[file] = None
                inside = name if file.name == "__init__.py" else name.rpartition(".")[0]
                waiting.extend((further, inside) for further in _imports_of(file))
    return sorted(found)


def _module_names(item: Import, package: str) -> Iterator[str]:
    base = item.module
    if item.level:
        parts = package.split(".")
        base = ".".join([*parts[: len(parts) - item.level + 1], *([item.module] if item.module else [])])
    yield base
    for name in item.names:
        yield f"{base}.{name}"


def _source(name: str) -> Path | None:
    top, *below = name.split(".")
    if not top or top in sys.stdlib_module_names or top == "dnaml":
        return None
    import importlib.util

    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or in_library(spec.origin):
        return None
    if not below:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for folder in spec.submodule_search_locations or ():
        place = Path(folder, *below)
        for candidate in (place.with_suffix(".py"), place / "__init__.py"):
            if candidate.is_file() and not in_library(str(candidate)):
                return candidate
    return None


def _imports_of(file: Path) -> Iterator[Import]:
    import ast

    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(0, alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield Import(node.level, node.module or "", tuple(alias.name for alias in node.names))
