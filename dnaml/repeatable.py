"""`@computation`: marks a function as a repeatable computation, with options that travel with every call of it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from dnaml.submission import Options, innermost_executor, wants_context

if TYPE_CHECKING:
    from dnaml.futures import Future
P = ParamSpec("P")
T = TypeVar("T")


class Repeatable(Generic[P, T]):
    """A function that runs here when called plainly and on the best resource by `.remote(...)`."""

    def __init__(self, function: Callable[P, T], options: Options) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.dnaml_options = options

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run here and now; a `context` parameter gets a Context that keeps nothing."""
        if wants_context(self.function) and "context" not in kwargs:
            from dnaml.execution.context import Context

            kwargs["context"] = Context.plain()
        return self.function(*args, **kwargs)

    def remote(self, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Submit to the innermost open executor, of this machine or of a service, or to a default one."""
        from dnaml.client import innermost

        open_one = innermost_executor.get()
        executor = open_one if open_one is not None and not open_one._closed else innermost()
        future: Future[T] = executor.submit(self, *args, **kwargs)
        return future

    def options(self, **options: Any) -> Repeatable[P, T]:
        """Return the same computation with other options: objective, constraints, resilience, name, ..."""
        return Repeatable(self.function, self.dnaml_options.changed(**options))


@overload
def computation(function: Callable[P, T], /) -> Repeatable[P, T]: ...
@overload
def computation(**options: Any) -> Callable[[Callable[P, T]], Repeatable[P, T]]: ...
def computation(function: Any = None, /, **options: Any) -> Any:
    """Mark a function as a repeatable computation; options are those of `Executor.options`.

    >>> import dnaml
    >>> @dnaml.computation
    ... def double(x: int) -> int:
    ...     return 2 * x
    >>> double(21)
    42
    """

    def mark(function: Callable[P, T]) -> Repeatable[P, T]:
        return Repeatable(function, Options().changed(**options))

    return mark(function) if function is not None else mark
