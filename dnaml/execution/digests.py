"""Stable digests of values: equal values give equal digests in every process and on every machine.

Numbers, text, containers, arrays and data frames are digested by content; any other object by what it would be
pickled as. A digest says only whether two values are equal, not what they were; short scalars stay readable.
"""

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping
from pickle import PickleError
from types import CellType
from typing import Any

_SHORT = 40  # characters of text that stay readable in a digest
_PLAIN = frozenset({int, float, bool, type(None)})
_ROW = 32  # list items from which one type check for the whole list pays
_EMPTY_CELL = CellType()
_UNWALKABLE = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError, PickleError)

Feed = Callable[[bytes], object]


class Opaque(Exception):
    """Says that a value has no content to compare: it can be neither walked nor pickled."""


def short_digest(value: object) -> str:
    """Return the digest of one value; numbers, short text and None read as themselves (`5`, `'abc'`).

    A value that can be neither walked nor pickled gives `opaque:<type>`, which equals nothing.
    """
    kind = type(value)
    if kind in _PLAIN:
        return repr(value)
    if kind is str and len(value) <= _SHORT:  # type: ignore[arg-type]  # kind says that it is text
        return repr(value)
    try:
        return "sha256:" + digest_of(value)
    except Opaque as error:
        return f"opaque:{error}"


def digest_of(value: object) -> str:
    """Return the hexadecimal SHA-256 of a value's canonical encoding; raise Opaque if it has none."""
    sha = hashlib.sha256()
    try:
        _Walk(sha.update).value(value)
    except RecursionError as error:
        raise Opaque(qualified_name(type(value))) from error
    return sha.hexdigest()


def is_opaque(digest: str) -> bool:
    """Say whether a digest stands for a value that cannot be compared."""
    return digest.startswith("opaque:")


def text_digest(parts: Iterable[str]) -> str:
    """Return the hexadecimal SHA-256 of a sequence of texts, in order."""
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def mapping_digest(texts: Mapping[str, str]) -> str:
    """Return the hexadecimal SHA-256 of a mapping of texts, whatever its order."""
    return text_digest([part for item in sorted(texts.items()) for part in item])


def qualified_name(value: Any) -> str:
    """Return `module.qualname` of a function or class."""  # Any: whatever carries the two names
    return f"{getattr(value, '__module__', None) or '?'}.{getattr(value, '__qualname__', type(value).__qualname__)}"


class _Walk:
    """Feeds the canonical encoding of a value, piece by piece; every piece opens with a letter and its length."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.open: dict[int, int] = {}  # id of each object being walked -> its depth, to stop at cycles
        self.done: dict[int, tuple[int, object]] = {}  # id of each object walked -> its number; held, or ids recur

    def value(self, value: Any) -> None:  # Any: the walk asks each value for its own kind
        """Feed one value."""
        kind = type(value)
        if kind in _PLAIN:
            self.feed(b"p%a;" % (value,))
        elif kind is str:
            self._bytes(b"s", value.encode("utf-8", "surrogatepass"))
        elif kind in (bytes, bytearray):
            self._bytes(b"b", value)
        elif id(value) in self.open:
            self.feed(b"^%d;" % (len(self.open) - self.open[id(value)]))
        else:
            self.open[id(value)] = len(self.open)
            try:
                self._composite(kind, value)
            finally:
                del self.open[id(value)]

    def _composite(self, kind: type, value: Any) -> None:
        if kind in (list, tuple):
            self._sequence(b"l" if kind is list else b"t", value)
        elif kind is dict:
            self._unordered(b"d", [self._apart(k) + self._apart(v) for k, v in value.items()])
        elif kind in (set, frozenset):
            self._unordered(b"S", [self._apart(item) for item in value])
        else:
            encode = _special(kind, value)
            if encode is not None:
                encode(self, value)
            else:
                self._reduced(value)

    def _bytes(self, tag: bytes, content: Any) -> None:  # Any: bytes, bytearray or a buffer
        self.feed(b"%b%d:" % (tag, len(content)))
        self.feed(content)

    def _sequence(self, tag: bytes, items: Any) -> None:
        self.feed(b"%b%d:" % (tag, len(items)))
        if len(items) >= _ROW and _PLAIN.issuperset(map(type, items)):
            self.feed(repr(list(items)).encode())  # numbers only: one call instead of one a number
            return
        for item in items:
            self.value(item)

    def _apart(self, value: object) -> bytes:
        pieces: list[bytes] = []
        outer, self.feed = self.feed, pieces.append
        try:
            self.value(value)
        finally:
            self.feed = outer
        encoded = b"".join(bytes(piece) for piece in pieces)
        return encoded if len(encoded) <= 64 else b"h" + hashlib.sha256(encoded).digest()

    def _unordered(self, tag: bytes, encoded: list[bytes]) -> None:
        self.feed(b"%b%d:" % (tag, len(encoded)))
        for piece in sorted(encoded):
            self._bytes(b"_", piece)

    def _reduced(self, value: Any) -> None:
        if id(value) in self.done:  # a graph of objects is walked once, as pickle does
            self.feed(b"@%d;" % self.done[id(value)][0])
            return
        self.done[id(value)] = (len(self.done), value)
        try:
            parts = value.__reduce_ex__(4)
        except _UNWALKABLE as error:  # from the object's own pickling code
            raise Opaque(qualified_name(type(value))) from error
        if isinstance(parts, str):
            self._bytes(b"g", f"{type(value).__module__}.{parts}".encode())
            return
        maker, arguments, *rest = parts
        self.feed(b"o")
        self._bytes(b"g", qualified_name(maker).encode())
        self.value(tuple(arguments))
        state, items, pairs = [*rest, None, None, None][:3]
        self.value(state)
        self.value(None if items is None else list(items))
        self.value(None if pairs is None else [tuple(pair) for pair in pairs])


def _special(kind: type, value: Any) -> Callable[[_Walk, Any], None] | None:
    """Return how to encode a kind that has a better canonical form than its pickle; imports nothing."""
    root = kind.__module__.partition(".")[0]
    if root == "numpy" and hasattr(value, "dtype") and hasattr(value, "tobytes"):
        return _array
    if root == "pandas" and hasattr(value, "columns"):
        return _frame
    if root == "pandas" and hasattr(value, "to_numpy") and hasattr(value, "name"):
        return _series
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _tensor
    if isinstance(value, type) or (callable(value) and hasattr(value, "__code__")):
        return _named
    return _module if kind is type(sys) else None


def _array(walk: _Walk, array: Any) -> None:
    """Encode a numpy array or scalar: dtype, shape and bytes in C order."""
    walk._bytes(b"n", f"{array.dtype.str if array.dtype.names is None else array.dtype.descr} {array.shape}".encode())
    if array.dtype.hasobject:
        walk.value(array.tolist())
    elif array.ndim and array.flags.c_contiguous and array.size and array.dtype.kind in "biufc":
        walk.feed(memoryview(array).cast("B"))  # type: ignore[arg-type]  # hashes read any buffer without a copy
    else:
        walk.feed(array.tobytes())


def _series(walk: _Walk, series: Any) -> None:
    """Encode a pandas Series or Index: name, values and (of a Series) the index."""
    walk.feed(b"P")
    walk.value((type(series).__name__, series.name))
    _column(walk, series)
    if hasattr(series, "index"):
        walk.value(series.index)


def _frame(walk: _Walk, frame: Any) -> None:
    """Encode a pandas DataFrame: index, then label and values of column after column."""
    walk.feed(b"F%d:" % frame.shape[1])
    walk.value(frame.index)
    for position, label in enumerate(frame.columns):
        walk.value(label)
        _column(walk, frame.iloc[:, position])


def _column(walk: _Walk, column: Any) -> None:
    walk.value(str(column.dtype))
    if type(column.dtype).__module__.startswith("numpy"):
        walk.value(column.to_numpy())
    elif hasattr(column, "levels"):  # a MultiIndex has no missing values of its own
        walk.value(list(column))
    else:
        walk.value([None if missing else item for item, missing in zip(column, column.isna(), strict=True)])


def _tensor(walk: _Walk, tensor: Any) -> None:
    """Encode a torch tensor by its numpy bytes (bfloat16 and the like by a view on their bytes)."""
    torch = sys.modules["torch"]
    held = tensor.detach()
    walk._bytes(b"T", f"{held.dtype} {tuple(held.shape)} {held.layout}".encode())
    if held.layout is not torch.strided:
        held = held.coalesce()
        walk.value((held.indices(), held.values()))
        return
    walk.feed(held.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())


def _named(walk: _Walk, value: Any) -> None:
    """Encode a class by its name, a function by its name, code, defaults and the values it closes over."""
    walk._bytes(b"g", qualified_name(value).encode())
    code = getattr(value, "__code__", None)
    if code is not None:
        walk._bytes(b"c", code_digest(code).encode())
        walk.value((value.__defaults__, value.__kwdefaults__))
        walk.value([cell.cell_contents for cell in value.__closure__ or () if cell != _EMPTY_CELL])


def _module(walk: _Walk, module: Any) -> None:
    walk._bytes(b"g", module.__name__.encode())


def code_digest(code: Any) -> str:
    """Return the SHA-256 of what a code object does: its instructions, constants and names, not where it stands."""
    sha = hashlib.sha256()
    walk = _Walk(sha.update)
    walk.value(code.co_code)
    walk.value([code_digest(c) if hasattr(c, "co_code") else c for c in code.co_consts])
    walk.value((code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars))
    walk.value((code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags, code.co_name))
    return sha.hexdigest()
