"""Opens the back end with functions from what a user states of them."""

from collections.abc import Mapping

from dnaml.datasets.state import StateFolder
from dnaml.execution.local import Listener, NowS
from dnaml.execution.serverless.backend import OpenBackend, ServerlessBackend
from dnaml.execution.serverless.functions import HttpFunction, LithopsFunction
from dnaml.execution.serverless.http_calls import HttpCaller
from dnaml.execution.serverless.invocation import Caller
from dnaml.execution.settings import LocalSettings


def serverless(
    functions: Mapping[str, HttpFunction | LithopsFunction], local: LocalSettings | None = None
) -> OpenBackend:
    """Return what opens a back end that calls a function for each of these resource ids and runs the rest here.

    It raises MissingExtra where a Lithops function is asked for without Lithops, InputError on a bad configuration.
    """
    callers = {name: _caller(name, function) for name, function in functions.items()}

    def open_backend(state: StateFolder, listener: Listener, now_s: NowS) -> ServerlessBackend:
        return ServerlessBackend(
            state.checkpoints, state.logs, listener, now_s, callers, local if local is not None else LocalSettings()
        )

    return open_backend


def _caller(name: str, function: HttpFunction | LithopsFunction) -> Caller:
    if isinstance(function, HttpFunction):
        return HttpCaller(name, function)
    from dnaml.execution.serverless.lithops_calls import LithopsCaller

    return LithopsCaller(name, function)
