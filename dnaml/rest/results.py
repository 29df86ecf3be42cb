"""What workers pickled, as JSON, read by readers that run no code: plain values and numpy numbers; of an exception its
type by name and its arguments, so far as they are plain.
"""

import io
import pickle
from dataclasses import dataclass
from typing import Any

import msgspec

from dnaml.rest.schemas import Raised

MOST_BYTES = 4 << 20
_PLAIN = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("builtins", "set"),
    ("builtins", "frozenset"),
    ("builtins", "complex"),
    ("builtins", "bytearray"),
}


class NotPlain(Exception):
    """Says which class a result needs that this service does not load."""


def plain_result(body: bytes) -> tuple[bytes | None, str | None]:
    """Return a pickled result as JSON, or None and the reason why it cannot be told so."""
    if len(body) > MOST_BYTES:
        return None, f"the result has {len(body)} bytes; over REST at most {MOST_BYTES} are told"
    try:
        value = _Plain(io.BytesIO(body)).load()
        return msgspec.json.encode(value, enc_hook=_plain), None
    except NotPlain as error:
        return None, f"the result is not plain data: it holds a {error}"
    except (TypeError, ValueError, NotImplementedError, RecursionError, OverflowError, msgspec.MsgspecError) as error:
        return None, f"the result cannot be written as JSON: {error}"
    except (pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError, ImportError) as error:
        return None, f"the result cannot be read: {type(error).__name__}"


def raised_by(body: bytes) -> Raised | None:
    """Return what a pickled exception is, by name; None for one that cannot be told so."""
    if not body or len(body) > MOST_BYTES:
        return None
    try:
        found = _ByName(io.BytesIO(body)).load()
    except (pickle.UnpicklingError, ValueError, TypeError, EOFError, AttributeError, LookupError, RecursionError):
        return None
    if not isinstance(found, _Made):
        return None
    raised = Raised(type=f"{found.named.module}.{found.named.name}", args=list(found.args))
    try:
        plain = all(isinstance(one, str | int | float | None) for one in found.args)
        msgspec.json.encode(raised)  # not so of lone surrogates and of very long numbers
    except (TypeError, ValueError, OverflowError, RecursionError):
        plain = False
    return raised if plain else Raised(type=raised.type, args=None)


@dataclass(frozen=True, slots=True)
class _Named:
    """Stands for anything that a pickle names, whatever it is; to call it makes a stand-in too."""

    module: str
    name: str

    def __call__(self, *args: object, **_: object) -> "_Made":
        return _Made(self, args)


@dataclass(frozen=True, slots=True)
class _Made:
    """Stands for what a named thing would have made of its arguments."""

    named: _Named
    args: tuple[object, ...]

    def __setstate__(self, state: object) -> None:
        """Take no state in."""


class _ByName(pickle.Unpickler):
    """Imports nothing: every name stays a name."""

    def find_class(self, module: str, name: str) -> Any:  # as the base class says
        return _Named(module, name)


class _Plain(pickle.Unpickler):
    """Finds nothing but what builds plain values."""

    def find_class(self, module: str, name: str) -> Any:  # as the base class says
        if (module, name) not in _PLAIN:
            raise NotPlain(f"{module}.{name}")
        return super().find_class(module, name)


def _plain(value: Any) -> Any:  # what msgspec does not know
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"an object of type {type(value).__name__} has no form in JSON")
