"""What code a callable consists of: its own, and every function, class, file and constant of the user's that it names.

Library code (the standard library, site-packages, dnaml) is not followed: its version belongs to the environment.
A callable is walked once; later calls only check that everything it names is still the same object.
"""

import os
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from dnaml.execution.code_references import Reference, imported_files, is_library, references
from dnaml.execution.digests import code_digest, mapping_digest, qualified_name, short_digest, text_digest
from dnaml.execution.file_digests import file_digest

_MISSING = object()
_FIXED = (int, float, complex, str, bytes, type(None), type(...))
_MOST_KEPT = 1000
_GENERATED = frozenset({"__dict__", "__weakref__", "__module__", "__doc__", "__annotations__", "_abc_impl"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The code behind a callable: `members` maps each function, class and file of the user's own to its digest,
    `values` each constant they read. `digest` covers both; `kernel` covers the members alone."""

    members: Mapping[str, str]
    values: Mapping[str, str]
    digest: str
    kernel: str


def code_of(fn: Callable[..., Any]) -> Code:
    """Return the code behind a function or class; walked at the first call, checked for changes at each later one.

    A redefined function, a reloaded module, a rebound or mutated constant and an edited class are all seen.
    """
    kept = _kept.get(id(fn))
    if kept is not None and kept[1].unchanged(fn):
        return kept[1].code
    walk = _Walk(fn)
    key = id(fn)
    while len(_kept) >= _MOST_KEPT:
        _kept.pop(next(iter(_kept)), None)
    try:
        _kept[key] = (weakref.ref(fn, lambda _: _kept.pop(key, None)), walk)
    except TypeError:  # a builtin has no weak references, and lives on anyway
        _kept[key] = (fn, walk)
    return walk.code


class _Walk:
    """One walk over a callable and what it names, with what to look at again to see whether all is as it was."""

    def __init__(self, root: Callable[..., Any]) -> None:
        self.home: str = getattr(root, "__module__", None) or "?"
        self.root_code = root.__code__ if isinstance(root, FunctionType) else None
        self.members: dict[str, str] = {}
        self.constants: dict[str, str] = {}
        self.seen: set[int] = {id(root)}
        self.names: list[tuple[Mapping[str, Any], str, object]] = []  # namespace, name, what it was bound to
        self.functions: list[tuple[FunctionType, CodeType, object, object]] = []
        self.cells: list[tuple[CellType, object]] = []
        self.contents: list[tuple[str, object]] = []  # label and object of each constant that can change in place
        self.files: list[tuple[str, str]] = []
        self._callable(qualified_name(root), root)
        if isinstance(root, FunctionType):
            self.functions = [kept for kept in self.functions if kept[0] is not root]  # or it would never die
            self.root_defaults = (root.__defaults__, root.__kwdefaults__)
        kernel = mapping_digest(self.members)
        digest = text_digest((kernel, mapping_digest(self.constants)))
        self.code = Code(members=self.members, values=self.constants, digest=digest, kernel=kernel)

    def unchanged(self, root: Callable[..., Any]) -> bool:
        """Say whether everything seen on the walk is still the same."""
        if self.root_code is not None and not self._same(root):
            return False
        for namespace, name, bound in self.names:
            if namespace.get(name, _MISSING) is not bound:
                return False
        for function, code, defaults, by_name in self.functions:
            same_code = function.__code__ is code and function.__defaults__ is defaults
            if not same_code or function.__kwdefaults__ is not by_name:
                return False
        if any(_content(cell) is not bound for cell, bound in self.cells):
            return False
        if any(short_digest(value) != self.constants[label] for label, value in self.contents):
            return False
        return all(file_digest(path) == digest for path, digest in self.files)

    def _same(self, root: Any) -> bool:  # Any: a function, which carries these three
        defaults, by_name = self.root_defaults
        same_code: bool = root.__code__ is self.root_code
        return same_code and root.__defaults__ is defaults and root.__kwdefaults__ is by_name

    def _mine(self, module: str | None) -> bool:
        return module == self.home or module is None or not is_library(module)

    def _callable(self, label: str, value: Any) -> None:
        if isinstance(value, FunctionType):
            self._function(label, value)
        elif isinstance(value, type):
            self._class(label, value)
        else:
            self.members[label] = qualified_name(value)  # a builtin: its version belongs to the environment

    def _function(self, label: str, fn: FunctionType) -> None:
        self.functions.append((fn, fn.__code__, fn.__defaults__, fn.__kwdefaults__))
        parts = (code_digest(fn.__code__), short_digest(fn.__defaults__), short_digest(fn.__kwdefaults__))
        self._member(label, text_digest(parts))
        taken = references(fn.__code__)
        for reference in taken.names:
            self._name(fn.__module__ or "?", fn.__globals__, reference)
        for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
            bound = _content(cell)
            self.cells.append((cell, bound))
            if bound is not _MISSING:
                self._value(f"{label}.{name}", bound, ())
        for file in imported_files(taken.imports, fn.__globals__.get("__package__") or ""):
            self._file(str(file))

    def _member(self, label: str, digest: str) -> None:
        number = 1
        while (numbered := label if number == 1 else f"{label}#{number}") in self.members:
            number += 1
        self.members[numbered] = digest

    def _file(self, path: str) -> None:
        if all(path != known for known, _ in self.files):
            self.files.append((path, file_digest(path)))
            self._member(os.path.basename(path), self.files[-1][1])

    def _name(self, module: str, namespace: Mapping[str, Any], reference: Reference) -> None:
        bound = namespace.get(reference.name, _MISSING)
        self.names.append((namespace, reference.name, bound))
        if bound is not _MISSING:  # else a builtin, or not defined yet
            self._value(f"{module}.{reference.name}", bound, reference.attributes)

    def _value(self, label: str, value: Any, attributes: tuple[str, ...]) -> None:
        if isinstance(value, ModuleType):
            self._module(label, value, attributes)
        elif isinstance(value, (FunctionType, type)):
            self._named(label, value)
        elif isinstance(value, BuiltinFunctionType) and isinstance(value.__self__, (ModuleType, type(None))):
            self.constants[label] = qualified_name(value)
        elif isinstance(getattr(value, "__wrapped__", None), (FunctionType, type)):
            self._named(label, value.__wrapped__)
        elif isinstance(value, (MethodType, partial)):
            self._bound(label, value)
        elif label not in self.constants:
            self._constant(label, value)

    def _named(self, label: str, value: Any) -> None:
        if not self._mine(value.__module__):
            self.constants[label] = qualified_name(value)
        elif id(value) not in self.seen:
            self.seen.add(id(value))
            self._callable(qualified_name(value), value)

    def _bound(self, label: str, value: Any) -> None:
        self._value(f"{label}()", value.func if isinstance(value, partial) else value.__func__, ())
        self._constant(label, (value.args, value.keywords) if isinstance(value, partial) else value.__self__)

    def _constant(self, label: str, value: Any) -> None:
        self.constants[label] = short_digest(value)
        if not _is_fixed(value):
            self.contents.append((label, value))
            if self._mine(type(value).__module__):
                self._named(label, type(value))

    def _module(self, label: str, module: ModuleType, attributes: tuple[str, ...]) -> None:
        if not self._mine(module.__name__):
            return
        if attributes:
            self._name(module.__name__, vars(module), Reference(attributes[0], attributes[1:]))
        elif module.__file__ is not None:
            self._file(module.__file__)

    def _class(self, label: str, cls: type) -> None:
        said = [f"{base.__module__}.{base.__qualname__}" for base in cls.__mro__[1:]]
        for name, item in sorted(vars(cls).items()):
            if name in _GENERATED:
                continue
            plain = _undecorated(item)
            if isinstance(plain, FunctionType):
                self.names.append((vars(cls), name, item))
                if self._mine(plain.__module__) and id(plain) not in self.seen:
                    self.seen.add(id(plain))
                    self._function(f"{label}.{name}", plain)
            elif not name.startswith("__") or name in ("__slots__", "__match_args__"):
                said.append(f"{name}={short_digest(item)}")
        self._member(label, text_digest(said))
        for base in cls.__mro__[1:]:
            if self._mine(base.__module__):
                self._named(label, base)


_kept: dict[int, tuple[object, _Walk]] = {}


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return _MISSING


def _is_fixed(value: object) -> bool:
    if isinstance(value, (tuple, frozenset)):
        return all(_is_fixed(item) for item in value)
    return type(value) in _FIXED or type(value) is bool


def _undecorated(item: Any) -> object:
    """Return the function inside a staticmethod, classmethod, property or wrapper."""
    for name in ("__func__", "fget", "func", "__wrapped__"):
        inner = getattr(item, name, None)
        if isinstance(inner, FunctionType):
            return inner
    return item
