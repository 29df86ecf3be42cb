"""How functions, arguments and results travel: plain pickle where that is safe, cloudpickle for everything else."""

import hashlib
import pickle
from collections.abc import Callable
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

from dnaml.core.errors import InputError, UnpicklableError

_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes})
_functions: "WeakKeyDictionary[Callable[..., Any], tuple[bytes, str]]" = WeakKeyDictionary()


def digest(body: bytes) -> str:
    """Return the SHA-256 of bytes as 64 hexadecimal digits."""
    return hashlib.sha256(body).hexdigest()


def dumps(value: Any) -> bytes:  # Any: whatever users compute
    """Return a value as pickle bytes; classes and functions of `__main__` travel by value.

    Raises UnpicklableError naming the type when it cannot travel.
    """
    if type(value) in _PLAIN:
        return pickle.dumps(value, protocol=5)
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps(value, protocol=5))
    except Exception as error:  # pickling runs the value's own code, which may raise anything
        raise UnpicklableError(f"{type(value).__qualname__} cannot be pickled: {error}") from error


def dumps_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """Return call arguments as pickle bytes; raises UnpicklableError naming the argument that cannot travel."""
    if all(type(value) in _PLAIN for value in args) and all(type(value) in _PLAIN for value in kwargs.values()):
        return pickle.dumps((args, kwargs), protocol=5)
    try:
        return dumps((args, kwargs))
    except UnpicklableError:
        for name, value in (*((f"argument {i}", arg) for i, arg in enumerate(args)), *kwargs.items()):
            try:
                dumps(value)
            except UnpicklableError as error:
                raise UnpicklableError(f"{name}: {error}") from error.__cause__
        raise


def dumps_function(function: Callable[..., Any]) -> tuple[bytes, str]:
    """Return a function as pickle bytes with their digest; kept where a later call would give the same bytes."""
    kept = _functions.get(function) if isinstance(function, FunctionType) else None
    if kept is not None:
        return kept
    try:
        body = dumps(function)
    except UnpicklableError as error:
        name = getattr(function, "__qualname__", repr(function))
        raise UnpicklableError(f"function {name} cannot be sent to a worker: {error}") from error.__cause__
    answer = (body, digest(body))
    if isinstance(function, FunctionType) and _is_settled(function):
        _functions[function] = answer
    return answer


def _is_settled(function: FunctionType) -> bool:
    """Say whether nothing a function carries by value can change: importable by name, or free of outer variables."""
    if function.__module__ != "__main__" and "<" not in function.__qualname__:
        return True
    no_globals = not set(function.__code__.co_names) & set(function.__globals__)
    nested = any(isinstance(constant, type(function.__code__)) for constant in function.__code__.co_consts)
    carried = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values(), *function.__dict__.values())
    unchanging = all(type(value) in _PLAIN for value in carried)
    return no_globals and not nested and function.__closure__ is None and unchanging


def loads(body: bytes) -> Any:  # Any: whatever was pickled
    """Return the value of pickle bytes; only for bytes that this user's own processes made."""
    return pickle.loads(body)


def dumps_exception(error: BaseException) -> bytes:
    """Return an exception as pickle bytes; empty when it cannot travel (its traceback text still does)."""
    try:
        body = dumps(error)
        loads(body)
    except Exception:  # noqa: BLE001  # an exception class may raise anything while it is pickled or rebuilt
        return b""
    return body


def named(function: Callable[..., Any]) -> str:
    """Return `module:function`, the name under which a function can be found again."""
    return f"{getattr(function, '__module__', '?')}:{getattr(function, '__qualname__', repr(function))}"


def by_name(name: str) -> Callable[..., Any]:
    """Return the function that `module:function` names; raise InputError when there is none."""
    import importlib

    module_name, colon, path = name.partition(":")
    if not colon or not module_name or not path:
        raise InputError(f"a function is named module:function, got {name!r}")
    try:
        found: Any = importlib.import_module(module_name)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{name}: {error}") from error
    if not callable(found):
        raise InputError(f"{name}: is a {type(found).__name__}, not a function")
    function: Callable[..., Any] = found
    return function
