"""Describes a result element by element: a digest for exact comparison, numbers for comparison within a tolerance.

An array is summarised by its moments, its norm and up to 64 of its items at fixed places, so two arrays that agree
in the summary agree to the tolerance wherever a difference is spread over the array; a single item between the
places is caught by the exact digest only.
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from dnaml.execution.digests import short_digest

_MOST_ELEMENTS = 256
_PLACES = 64
_PLAIN = frozenset({int, float, bool, str, bytes, type(None)})

Number = float | str  # text for what JSON has no number for: nan, inf, -inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One element of a result: its digest, its kind (`int`, `float64 [3, 4]`, ...) and, if numeric, its summary."""

    digest: str
    kind: str
    numbers: tuple[Number, ...] = ()


def elements_of(result: object) -> dict[str, Element]:
    """Return the top-level elements of a result by name: keys, positions, fields, columns, or `result` itself."""
    if type(result) in _PLAIN:
        name = type(result).__qualname__
        return {"result": Element(digest=short_digest(result), kind=name, numbers=_numbers(result))}
    elements: dict[str, Element] = {}
    for name, value in _parts(result):
        elements[name] = Element(digest=short_digest(value), kind=_kind(value), numbers=_numbers(value))
    return elements


def _parts(result: Any) -> Iterator[tuple[str, object]]:
    kind = type(result)
    if kind is dict and len(result) <= _MOST_ELEMENTS:
        yield "result", dict
        yield from (
            (f"result[{key!r}]", value) for key, value in sorted(result.items(), key=lambda item: repr(item[0]))
        )
    elif kind in (list, tuple) and len(result) <= _MOST_ELEMENTS:
        yield "result", (kind, len(result))
        yield from ((f"result[{position}]", value) for position, value in enumerate(result))
    elif isinstance(result, tuple) and hasattr(result, "_fields"):
        yield "result", kind
        yield from ((f"result.{name}", getattr(result, name)) for name in result._fields)
    elif is_dataclass(result) and not isinstance(result, type):
        yield "result", kind
        yield from ((f"result.{item.name}", getattr(result, item.name)) for item in fields(result))
    elif kind.__module__.startswith("pandas") and hasattr(result, "columns"):
        yield "result", (kind, result.index)
        yield from ((f"result[{label!r}]", result.iloc[:, at]) for at, label in enumerate(result.columns))
    else:
        yield "result", result


def _kind(value: Any) -> str:
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    return type(value).__qualname__ if dtype is None or shape is None else f"{dtype} {list(shape)}"


def _numbers(value: Any) -> tuple[Number, ...]:
    kind = type(value)
    if kind in (int, float, bool):
        return (_number(value),)
    if kind is complex:
        return (_number(value.real), _number(value.imag))
    if kind in (list, tuple) and len(value) and all(type(item) in (int, float, bool) for item in value):
        return _sequence_numbers([float(item) for item in value])
    if getattr(value, "dtype", None) is not None and "numpy" in sys.modules:
        return _array_numbers(value)
    return ()


def _sequence_numbers(items: list[float]) -> tuple[Number, ...]:
    step = max(1, len(items) // _PLACES)
    return tuple(map(_number, (math.fsum(items) if all(map(math.isfinite, items)) else math.nan, *items[::step])))


def _array_numbers(value: Any) -> tuple[Number, ...]:
    np = sys.modules["numpy"]
    array = _as_array(np, value)
    if array is None or array.size == 0:
        return ()
    if array.dtype.kind == "c":
        array = np.concatenate([array.real, array.imag])
    wide = array.astype(np.float64, copy=False)
    with np.errstate(all="ignore"):
        moments = (wide.mean(), wide.std(), wide.min(), wide.max(), np.sqrt((wide * wide).sum()))
    return tuple(map(_number, (*moments, *wide[:: max(1, wide.size // _PLACES)])))


def _as_array(np: Any, value: Any) -> Any:
    """Return the numbers of an array, series or tensor as a flat numpy array, or None if it holds no numbers."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    elif hasattr(value, "to_numpy"):
        value = value.to_numpy()
    array = np.asarray(value)
    return array.reshape(-1) if array.dtype.kind in "biufc" else None


def _number(value: Any) -> Number:
    try:
        number = float(value)
    except OverflowError:  # an integer beyond any float
        return "inf" if value > 0 else "-inf"
    return number if math.isfinite(number) else repr(number)


def within(first: Element, second: Element, *, rtol: float, atol: float) -> bool:
    """Say whether the summaries of two elements of one shape agree within `atol + rtol * |first|`.

    Not-a-number agrees with itself, an infinity with the same infinity.
    """
    pairs = _pairs(first, second)
    return pairs is not None and all(math.isfinite(a) and abs(a - b) <= atol + rtol * abs(a) for a, b in pairs)


def largest_difference(first: Element, second: Element) -> float | None:
    """Return the largest difference between the summaries of two elements, None where they have no common shape."""
    pairs = _pairs(first, second)
    return None if pairs is None else max((abs(a - b) for a, b in pairs), default=0.0)


def _pairs(first: Element, second: Element) -> list[tuple[float, float]] | None:
    """Return the numbers that differ, side by side."""
    same_shape = first.kind.partition(" ")[2] == second.kind.partition(" ")[2]
    if not first.numbers or len(first.numbers) != len(second.numbers) or not same_shape:
        return None
    both = zip(map(float, first.numbers), map(float, second.numbers), strict=True)
    return [(a, b) for a, b in both if a != b and not (math.isnan(a) and math.isnan(b))]
