"""What may travel to a service: functions by name, arguments as JSON; anything else is refused before it is sent."""

import importlib
import math
from collections.abc import Callable
from typing import Any

from dnaml.core.errors import InputError


def name_of(fn: Callable[..., Any]) -> str:  # any function of a module
    """Return `module:function`; raise InputError with the reason for what no other process finds by name."""
    inner = getattr(fn, "function", fn)
    module, name = getattr(inner, "__module__", None), getattr(inner, "__qualname__", None)
    if not module or not name:
        raise InputError(f"{inner!r}: a service takes functions by name, and this has none")
    if "<lambda>" in name:
        raise InputError(f"{module}:{name}: a lambda has no name that a service could find; define a function")
    if "<locals>" in name:
        raise InputError(f"{module}:{name}: is defined within a function; move it to the top of its module")
    if module == "__main__":
        raise InputError(f"__main__:{name}: a service does not see this script; move the function to a module")
    found: Any = importlib.import_module(module)  # any attribute of the module
    for part in name.split("."):
        found = getattr(found, part, None)
    if getattr(found, "function", found) is not inner:
        raise InputError(f"{module}:{name}: is another object under that name; a service would run the other one")
    return f"{module}:{name}"


def check_json(value: object, path: str) -> None:
    """Raise InputError with the path of the first part of a value that JSON would lose or change."""
    if value is None or isinstance(value, bool | int | str):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(f"{path}: must be finite to travel as JSON, got {value}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_json(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InputError(f"{path}: keys must be texts to travel as JSON, got {key!r}")
            check_json(item, f"{path}.{key}")
    else:
        raise InputError(f"{path}: an object of type {type(value).__name__} has no form in JSON")
