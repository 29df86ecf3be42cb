"""What a callable really calls and what its parameters are called, cheaply: no signature object is built per call."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import FunctionType, MethodType
from typing import Any


def unwrapped(
    fn: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any]]:
    """Return the plain function (or class) behind a method, partial or wrapper, with what these bind as arguments."""
    # Any: each kind of callable carries what it binds under its own names
    while not isinstance(fn, (FunctionType, type)):
        if isinstance(fn, MethodType):
            fn, args = fn.__func__, (fn.__self__, *args)
        elif isinstance(fn, partial):
            fn, args, kwargs = fn.func, (*fn.args, *args), {**fn.keywords, **kwargs}
        elif isinstance(getattr(fn, "__wrapped__", None), FunctionType):
            fn = fn.__wrapped__
        elif isinstance(call := vars(type(fn)).get("__call__"), FunctionType):
            fn, args = call, (fn, *args)
        else:
            break
    return fn, args, kwargs


def parameter_names(fn: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the parameters that a call may fill by position; none where Python does not tell."""
    code = getattr(fn, "__code__", None)
    if code is not None:
        names: tuple[str, ...] = code.co_varnames[: code.co_argcount]
        return names
    made = getattr(fn.__init__, "__code__", None) if isinstance(fn, type) else None  # type: ignore[misc]
    return made.co_varnames[1 : made.co_argcount] if made is not None else ()


def carried_function(value: Any) -> FunctionType | None:
    """Return the function that an object (a partial, a chunk of calls) holds in an attribute; None if it holds none."""
    for held in (getattr(value, "func", None), *(getattr(value, "__dict__", None) or {}).values()):
        if isinstance(held, FunctionType):
            return held
    return None
