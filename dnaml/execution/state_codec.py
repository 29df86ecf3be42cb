"""User state to bytes and back: arrays and tensors as safetensors, plain data as msgpack, the rest by cloudpickle.

`pack` walks the state once and hands out the arrays as memory views, so that nothing large is copied; what must be
pickled is kept apart. Values come back equal and of the same type, a container or array that occurred twice as one
object; an object with state_dict and load_state_dict comes back as its state_dict. Tensors come back on the CPU.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from dnaml.core.errors import CorruptError, UnpicklableError
from dnaml.execution.tensors import Stored, is_array, is_scalar, stored

# State is whatever the user passes, hence Any in this module.
_ATOMS = frozenset({type(None), bool, int, float, str, bytes})
_SMALL = range(-(2**63), 2**64)  # the integers of msgpack
_DEPTH = 100  # what is nested deeper is left to the pickle


class Tag(IntEnum):
    """Is the first item of every node that is not an atom; the numbers are stored, so they never change."""

    LIST = 0
    TUPLE = 1
    DICT = 2
    ORDERED_DICT = 3
    SET = 4
    FROZENSET = 5
    ATOMS = 6  # a list that holds atoms only, stored as it is
    BIG_INT = 7
    COMPLEX = 8
    ARRAY = 9
    PICKLED = 10
    SCALAR = 11  # a numpy scalar
    AGAIN = 12  # a list, dict or set that was met before, by its number in the order of meeting


@dataclass(slots=True, kw_only=True)
class Packed:
    """State taken apart: the arrays, the tree that refers to them by number, and the pickle of all the rest."""

    arrays: list[Stored] = field(default_factory=list)
    tree: bytes = b""
    pickle: bytes = b""


def pack(state: Any) -> Packed:
    """Take a state apart; raise UnpicklableError naming what no way of storing fits."""
    import msgspec.msgpack

    packer = _Packer(any_text=False)
    try:
        tree = msgspec.msgpack.encode(packer.node(state, 0))
    except UnicodeEncodeError:  # half of a surrogate pair, as in the name of a file that is not UTF-8
        packer = _Packer(any_text=True)
        tree = msgspec.msgpack.encode(packer.node(state, 0))
    return Packed(arrays=packer.arrays, tree=tree, pickle=packer.pickle())


def unpack(tree: bytes, pickled: bytes, arrays: Sequence[Callable[[], Any]]) -> Any:
    """Put a state together; `arrays` makes each array when it is first wanted. Runs the pickle: workers only."""
    import msgspec.msgpack

    rest: list[Any] = []
    if pickled:
        import pickle

        rest = pickle.loads(pickled)
    try:
        return _Unpacker(rest, arrays).value(msgspec.msgpack.decode(tree))
    except (msgspec.DecodeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise CorruptError(f"state tree must refer to stored values only, got {error!r}") from error


class _Packer:
    """Turns values into nodes and collects arrays and what must be pickled."""

    def __init__(self, *, any_text: bool) -> None:
        self.arrays: list[Stored] = []
        self._any_text = any_text
        self._rest: list[Any] = []
        self._numbers: dict[int, int] = {}  # id of an array already met -> its number
        self._containers: dict[int, int] = {}  # id of a list, dict or set already met -> its number
        self._alive: list[Any] = []  # keeps what state_dict() made, so that no id is used twice

    def node(self, value: Any, depth: int) -> Any:
        """Return a value as atoms, lists and dicts for msgpack."""
        kind = type(value)
        if kind in _ATOMS:
            return self._atom(value)
        if kind in _CONTAINERS and depth < _DEPTH:
            return self._container(value, depth)
        if kind is complex:
            return [Tag.COMPLEX, value.real, value.imag]
        if is_scalar(value):
            return [Tag.SCALAR, value.dtype.str, value.tobytes()]
        if is_array(value):
            return [Tag.ARRAY, self._array(value)]
        if has_state(value) and depth < _DEPTH:
            state = value.state_dict()
            self._alive.append(state)
            return self.node(state, depth + 1)
        return self.pickled(value)

    def all_atoms(self, values: list[Any]) -> bool:
        """Say whether msgpack can take a list as it is; the loops of this test run in C."""
        kinds = set(map(type, values))
        if not kinds <= _ATOMS or (self._any_text and str in kinds):
            return False
        whole = values if kinds == {int} else [value for value in values if type(value) is int] if int in kinds else []
        return not whole or (min(whole) in _SMALL and max(whole) in _SMALL)

    def nodes(self, values: Iterable[Any], depth: int) -> list[Any]:
        """Return each of several values as a node."""
        return [self.node(value, depth) for value in values]

    def pickled(self, value: Any) -> Any:
        """Put a value with what is pickled; all of it goes in one pickle, which keeps what they share."""
        self._rest.append(value)
        return [Tag.PICKLED, len(self._rest) - 1]

    def pickle(self) -> bytes:
        """Return the pickle of what nothing else can store; empty if there is nothing."""
        if not self._rest:
            return b""
        import cloudpickle

        try:
            return bytes(cloudpickle.dumps(self._rest))
        except Exception as error:
            names = ", ".join(sorted({type(value).__qualname__ for value in self._rest}))
            raise UnpicklableError(f"checkpoint state must be picklable, got {names}: {error}") from error

    def _atom(self, value: Any) -> Any:
        if type(value) is int and value not in _SMALL:
            return [Tag.BIG_INT, hex(value)]
        if self._any_text and type(value) is str and not value.isascii():
            return self.pickled(value)
        return value

    def _container(self, value: Any, depth: int) -> Any:
        """Return the node of a container; one that can be changed is stored once, wherever it occurs."""
        if type(value) not in (tuple, frozenset):
            if id(value) in self._containers:
                return [Tag.AGAIN, self._containers[id(value)]]
            self._containers[id(value)] = len(self._containers)
        return _CONTAINERS[type(value)](self, value, depth + 1)

    def _array(self, value: Any) -> int:
        """Return the number of an array; the same object twice is stored once and comes back as one object."""
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(self.arrays)
            self.arrays.append(stored(value))
        return self._numbers[id(value)]


def _list(packer: _Packer, value: list[Any], depth: int) -> Any:
    if packer.all_atoms(value):
        return [Tag.ATOMS, value]
    return [Tag.LIST, packer.nodes(value, depth)]


def _dict(packer: _Packer, value: dict[Any, Any], depth: int) -> Any:
    return [Tag.DICT, packer.nodes(value, depth), packer.nodes(value.values(), depth)]


def _ordered_dict(packer: _Packer, value: OrderedDict[Any, Any], depth: int) -> Any:
    """Keep the attributes too: torch puts versions of its modules there."""
    return [Tag.ORDERED_DICT, *_dict(packer, value, depth)[1:], packer.node(vars(value), depth)]


def _items(tag: Tag) -> Callable[[_Packer, Any, int], Any]:
    return lambda packer, value, depth: [tag, packer.nodes(value, depth)]


_CONTAINERS: dict[type, Callable[[_Packer, Any, int], Any]] = {
    list: _list,
    tuple: _items(Tag.TUPLE),
    dict: _dict,
    OrderedDict: _ordered_dict,
    set: _items(Tag.SET),
    frozenset: _items(Tag.FROZENSET),
}


def has_state(value: Any) -> bool:
    """Say whether an object saves itself: torch modules, optimisers, stateful iterators."""
    kind = type(value)
    return callable(getattr(kind, "state_dict", None)) and callable(getattr(kind, "load_state_dict", None))


class _Unpacker:
    """Turns nodes into values, meeting containers in the order in which they were packed."""

    def __init__(self, rest: list[Any], arrays: Sequence[Callable[[], Any]]) -> None:
        self._rest = rest
        self._arrays = arrays
        self._made: dict[int, Any] = {}
        self._met: list[Any] = []

    def value(self, node: Any) -> Any:
        """Return the value that a node stands for."""
        if type(node) is not list:
            return node
        tag, *body = node
        if tag in _FILLED:
            empty, fill = _FILLED[tag]
            container = empty()
            self._met.append(container)
            fill(self, container, body)
            return container
        return self._leaf(Tag(tag), body)

    def values(self, nodes: list[Any]) -> Iterator[Any]:
        """Yield the values of several nodes."""
        return (self.value(node) for node in nodes)

    def _leaf(self, tag: Tag, body: list[Any]) -> Any:
        match tag:
            case Tag.TUPLE:
                return tuple(self.values(body[0]))
            case Tag.FROZENSET:
                return frozenset(self.values(body[0]))
            case Tag.BIG_INT:
                return int(body[0], 16)
            case Tag.COMPLEX:
                return complex(body[0], body[1])
            case Tag.SCALAR:
                import numpy

                return numpy.frombuffer(body[1], dtype=body[0])[0]
            case Tag.ARRAY:
                return self._array(body[0])
            case Tag.AGAIN:
                return self._met[body[0]]
            case _:
                return self._rest[body[0]]

    def _array(self, number: int) -> Any:
        if number not in self._made:
            self._made[number] = self._arrays[number]()
        return self._made[number]


def _fill_list(unpacker: _Unpacker, container: list[Any], body: list[Any]) -> None:
    container.extend(unpacker.values(body[0]))


def _fill_dict(unpacker: _Unpacker, container: dict[Any, Any], body: list[Any]) -> None:
    keys = list(unpacker.values(body[0]))
    container.update(zip(keys, unpacker.values(body[1]), strict=True))


def _fill_ordered_dict(unpacker: _Unpacker, container: OrderedDict[Any, Any], body: list[Any]) -> None:
    _fill_dict(unpacker, container, body)
    vars(container).update(unpacker.value(body[2]))


_FILLED: dict[int, tuple[Callable[[], Any], Callable[[_Unpacker, Any, list[Any]], None]]] = {
    Tag.LIST: (list, _fill_list),
    Tag.ATOMS: (list, lambda _, container, body: container.extend(body[0])),
    Tag.SET: (set, lambda unpacker, container, body: container.update(unpacker.values(body[0]))),
    Tag.DICT: (dict, _fill_dict),
    Tag.ORDERED_DICT: (OrderedDict, _fill_ordered_dict),
}
