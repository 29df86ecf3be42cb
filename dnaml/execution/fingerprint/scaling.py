"""Makes the arguments of a call smaller, as its caller says how."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dnaml.core.errors import InputError

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Scale = float | Mapping[str, float] | Callable[..., Arguments]
"""A fraction for every argument, fractions by parameter, or a function from (args, kwargs) to smaller ones."""


def scaled(scale: Scale, args: tuple[Any, ...], kwargs: dict[str, Any], names: Sequence[str] = ()) -> Arguments:
    """Return smaller arguments; raise InputError if nothing got smaller or the function gives no (args, kwargs).

    A fraction shortens sequences and arrays; where there is none, it makes whole numbers smaller. `names` are those of
    the parameters that `args` fill.
    """
    if callable(scale):
        made = scale(args, kwargs)
        if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], Mapping)):
            raise InputError(f"scale must return (args, kwargs), got {type(made).__name__}")
        return tuple(made[0]), dict(made[1])
    if isinstance(scale, Mapping):
        return _by_name(scale, args, kwargs, names)
    _check("scale", scale)
    shorten = any(_is_long(value) for value in (*args, *kwargs.values()))
    made_args = tuple(_smaller(value, scale, shorten) for value in args)
    made_kwargs = {name: _smaller(value, scale, shorten) for name, value in kwargs.items()}
    return made_args, made_kwargs


def _by_name(
    scale: Mapping[str, float], args: tuple[Any, ...], kwargs: dict[str, Any], names: Sequence[str]
) -> Arguments:
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    for name, fraction in scale.items():
        _check(f"scale of {name}", fraction)
        if name not in given:
            raise InputError(f"scale: the call has no argument {name!r}; it has {', '.join(given) or 'none'}")
        given[name] = _smaller(given[name], fraction, _is_long(given[name]))
    by_place = tuple(given[name] for name in names[: len(args)]) + args[len(names) :]
    return by_place, {name: given[name] for name in kwargs}


def _check(what: str, fraction: float) -> None:
    if not 0 < fraction < 1:
        raise InputError(f"{what} must be in (0, 1), got {fraction}")


def _is_long(value: Any) -> bool:  # Any: whatever the function takes
    if isinstance(value, (str, bytes, Mapping, set, frozenset)) or not hasattr(value, "__len__"):
        return False
    shape = getattr(value, "shape", None)
    return shape != () and len(value) > 1


def _smaller(value: Any, fraction: float, shorten: bool) -> Any:
    if shorten and _is_long(value):
        count = max(1, int(len(value) * fraction))
        return value.iloc[:count] if hasattr(value, "iloc") else value[:count]
    if not shorten and type(value) is int and value > 1:
        return max(1, int(value * fraction))
    return value
