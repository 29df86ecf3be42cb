"""Parts of a divisible computation: each gets a contiguous slice of the first argument, and results join in order.

The first argument is anything with `len` and slices: a list, tuple, range, str, bytes, numpy array, tensor, DataFrame.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from dnaml.core.errors import InputError

_DIGITS = 9  # boundaries that differ by less are the same: start + share of one part is the start of the next


def sliced(args: Sequence[Any], kwargs: dict[str, Any], start: float, share: float) -> tuple[Any, ...]:
    """Return the arguments with the first one cut to [start, start + share) of its length; one by name is cut there.

    Parts whose shares adjoin cover every item exactly once. Raises InputError where the first argument has no slices.
    """
    # Any: the user's arguments are of every type
    if args:
        return (cut(args[0], start, share), *args[1:])
    if not kwargs:
        raise InputError("a divisible computation must have a first argument to divide, got none")
    first = next(iter(kwargs))
    kwargs[first] = cut(kwargs[first], start, share)
    return ()


def cut(whole: Any, start: float, share: float) -> Any:  # Any: whatever has a length and slices
    """Return the slice [start, start + share) of something with a length."""
    if isinstance(whole, dict | set | frozenset) or not (hasattr(whole, "__len__") and hasattr(whole, "__getitem__")):
        raise InputError(
            f"the first argument of a divisible computation must have a length and slices, got {type(whole).__name__}"
        )
    length = len(whole)
    first, last = boundary(length, start), boundary(length, start + share)
    return getattr(whole, "iloc", whole)[first:last]


def boundary(length: int, share: float) -> int:
    """Return the item at which a share of a length ends: the nearest, half up."""
    return min(length, max(0, math.floor(length * round(share, _DIGITS) + 0.5)))


def joined(results: Sequence[Any], join: Callable[[list[Any]], Any] | None = None) -> Any:
    """Return the results of all parts as one, by `join` (it gets the list of them) or else one after the other.

    Lists, tuples, str, bytes, numpy arrays, torch tensors, pandas Series and DataFrames know how; parts that all
    returned None are None. Raises InputError for results of other types, or of types that differ.
    """
    # Any: results are the user's
    if join is not None:
        return join(list(results))
    kinds = {type(result) for result in results}
    if len(kinds) != 1:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise InputError(f"parts must return results of one type to be joined, got {names}; give join=")
    (kind,) = kinds
    if kind is type(None):
        return None
    join_kind = _joiner(kind)
    if join_kind is None:
        raise InputError(f"results of type {kind.__name__} cannot be joined by themselves; give join=")
    return join_kind(results)


def _joiner(kind: type) -> Callable[[Sequence[Any]], Any] | None:
    """Return how results of a type are put together; found by name, so that nothing is imported for those absent."""
    package = kind.__module__.partition(".")[0]
    if kind in (list, tuple):
        return lambda results: kind(item for result in results for item in result)
    if kind in (str, bytes):
        return lambda results: kind().join(results)
    if kind is bytearray:
        return lambda results: bytearray().join(results)
    if package == "numpy" and kind.__name__ == "ndarray":
        return _joined_arrays
    if package == "pandas" and kind.__name__ in ("DataFrame", "Series"):
        return _joined_tables
    if package == "torch" and kind.__name__ == "Tensor":
        return _joined_tensors
    return None


def _joined_arrays(results: Sequence[Any]) -> Any:
    import numpy as np

    return np.concatenate(results)


def _joined_tables(results: Sequence[Any]) -> Any:
    import pandas as pd

    return pd.concat(results)


def _joined_tensors(results: Sequence[Any]) -> Any:
    import torch

    return torch.cat(tuple(results))
