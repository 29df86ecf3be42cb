"""Results as JSON, read from the worker's pickle by a reader that runs no code: plain values and numpy numbers only."""

import io
import pickle
from typing import Any

import msgspec

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


class _Plain(pickle.Unpickler):
    """Finds nothing but what builds plain values."""

    def find_class(self, module: str, name: str) -> Any:  # as the base class says
        if (module, name) not in _PLAIN:
            raise NotPlain(f"{module}.{name}")
        return super().find_class(module, name)


def _plain(value: Any) -> Any:  # what msgspec does not know
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} has no form in JSON")
