"""Functions rented by the call as resources: plain HTTP functions and Lithops, beside workers of this machine.

Names are found on first use, so that `plan_handler` inside a function loads no engine.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dnaml.execution.serverless.backend import ServerlessBackend
    from dnaml.execution.serverless.functions import HttpFunction, LithopsFunction, Retrying
    from dnaml.execution.serverless.handler import Handler, call_handler, plan_handler
    from dnaml.execution.serverless.opening import serverless
    from dnaml.execution.serverless.warmth import Warmth

__all__ = [
    "Handler",
    "HttpFunction",
    "LithopsFunction",
    "Retrying",
    "ServerlessBackend",
    "Warmth",
    "call_handler",
    "plan_handler",
    "serverless",
]
_HOME = {
    "Handler": "handler",
    "HttpFunction": "functions",
    "LithopsFunction": "functions",
    "Retrying": "functions",
    "ServerlessBackend": "backend",
    "Warmth": "warmth",
    "call_handler": "handler",
    "plan_handler": "handler",
    "serverless": "opening",
}


def __getattr__(name: str) -> object:
    """Find a public name on its first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
