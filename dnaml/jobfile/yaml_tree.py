"""YAML read with care: plain values only, bounded in size, depth and aliases, and each key with its line.

It refuses what a job file never needs and an attacker likes: tags that build objects, aliases that multiply
("billion laughs"), values that contain themselves, duplicate keys that hide one another.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from dnaml.core.errors import InputError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_VALUES = 20_000  # after every alias is written out

# A parsed value is whatever the document holds, so it cannot be typed further here.
Value = Any
Path = tuple[str | int, ...]
_PLAIN = {"str", "int", "float", "bool", "null", "timestamp", "map", "seq"}
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A document as plain values, and the line on which each path stands (1 is the first)."""

    value: Value
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """Return the line of a path, or of the nearest one above it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse(text: str, *, name: str, as_text: Callable[[Path], bool] = lambda path: False) -> Tree:
    """Return the one document in `text`; where `as_text(path)` holds, scalars stay as they were written.

    Raises InputError, with `name` and the line, for whatever is not a plain bounded YAML document.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise InputError(f"{name}: must be at most {MAX_BYTES} bytes, got {len(text)} characters")
    try:
        _check_depth(text, name)
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        _check_expansion(node, name)
        builder = _Builder(loader=loader, name=name, as_text=as_text, lines={})
        return Tree(value=builder.build(node, ()), lines=builder.lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise InputError(f"{name}:{mark.line + 1 if mark else 1}: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{name}: not readable as YAML: {' '.join(str(error).split())}") from None


def _check_depth(text: str, name: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise InputError(f"{name}:{line}: nested deeper than {MAX_DEPTH} levels")


def _check_expansion(node: yaml.Node | None, name: str) -> None:
    """Raise InputError when the document, with aliases written out, is too large or contains itself."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(one: yaml.Node) -> int:
        key = id(one)
        if key in open_nodes:
            raise InputError(f"{name}:{one.start_mark.line + 1}: a value contains itself through an alias")
        if key not in sizes:
            open_nodes.add(key)
            sizes[key] = 1 + sum(size(child) for child in _children(one))
            open_nodes.discard(key)
        return sizes[key]

    if node is not None and size(node) > MAX_VALUES:
        raise InputError(f"{name}: aliases expand it to {size(node)} values, at most {MAX_VALUES} are allowed")


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


@dataclass(frozen=True, slots=True, kw_only=True)
class _Builder:
    loader: yaml.SafeLoader
    name: str
    as_text: Callable[[Path], bool]
    lines: dict[Path, int]

    def build(self, node: yaml.Node | None, path: Path) -> Value:
        if node is None:
            return None
        self.lines.setdefault(path, node.start_mark.line + 1)
        kind = node.tag.removeprefix(_TAG)
        if kind not in _PLAIN:
            raise InputError(f"{self.name}:{self.lines[path]}: tag {node.tag!r} is not allowed")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, i)) for i, child in enumerate(node.value)]
        if kind == "null":
            return None
        if kind == "timestamp" or self.as_text(path):
            return node.value
        try:
            return self.loader.construct_object(node)
        except (ValueError, LookupError):  # a tag by hand that its text does not fit, or an endless number
            raise InputError(f"{self.name}:{self.lines[path]}: !!{kind} cannot hold {node.value[:40]!r}") from None

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Value]:
        built: dict[str, Value] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise InputError(f"{self.name}:{line}: a key must be text")
            key: str = key_node.value
            if key in built:
                raise InputError(f"{self.name}:{line}: key {key!r} stands twice")
            self.lines[(*path, key)] = line
            built[key] = self.build(value_node, (*path, key))
        return built
