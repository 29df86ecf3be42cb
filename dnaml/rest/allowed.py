"""What clients may run: functions named in the allow-list, and commands where they are allowed at all.

A name is looked up in the list before anything is imported. A whole module stands for the public functions that it
defines itself, not for what it imported: `work:os.system` is nothing that `work` offers.
"""

import importlib
from collections.abc import Callable, Iterable
from typing import Any

from dnaml.core.errors import InputError
from dnaml.execution.pickling import by_name
from dnaml.jobfile.document import check_function_name
from dnaml.rest.problems import Problem


class AllowList:
    """The functions that clients may name."""

    def __init__(self, names: Iterable[str]) -> None:
        self._functions: set[str] = set()
        self._modules: set[str] = set()
        for name in names:
            if ":" in name:
                check_function_name(name)
                self._functions.add(name)
            elif name and all(part.isidentifier() for part in name.split(".")):
                self._modules.add(name)
            else:
                raise InputError(f"--allow: must be module or module:function, got {name!r}")
        self._found: dict[str, Callable[..., Any]] = {}

    def load(self) -> None:
        """Import everything that is allowed; raise InputError for what is not there."""
        for name in sorted(self._functions):
            self._found[name] = by_name(name)
        for module in sorted(self._modules):
            try:
                importlib.import_module(module)
            except ImportError as error:
                raise InputError(f"--allow {module}: cannot be imported: {error}") from error

    def names(self) -> tuple[str, ...]:
        """Return what was allowed, as it was written."""
        return tuple(sorted(self._functions | self._modules))

    def function(self, name: str) -> Callable[..., Any]:  # as its author wrote it
        """Return the function of a name; a Problem with status 403 for one that clients may not run."""
        found = self._found.get(name)
        if found is None:
            module, attribute = check_function_name(name)
            if name not in self._functions and (module not in self._modules or not _is_public(attribute)):
                raise _refused(name)
            found = by_name(name)
            inner = getattr(found, "function", found)
            if name not in self._functions and getattr(inner, "__module__", None) != module:
                raise _refused(name)
            self._found[name] = found
        return found


def _is_public(attribute: str) -> bool:
    return "." not in attribute and not attribute.startswith("_")


def _refused(name: str) -> Problem:
    return Problem(403, f"computation {name}: this service does not allow it; see its --allow", kind="not-allowed")
