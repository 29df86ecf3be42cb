"""The executor against a running service: `dnaml.connect` and what it returns."""

from dnaml.remote.aio import AsyncExecutor, AsyncJob
from dnaml.remote.answers import AccessRefused, NotReachable
from dnaml.remote.executor import RemoteExecutor, connect
from dnaml.remote.future import RemoteFuture
from dnaml.remote.job import RemoteError

__all__ = [
    "AccessRefused",
    "AsyncExecutor",
    "AsyncJob",
    "NotReachable",
    "RemoteError",
    "RemoteExecutor",
    "RemoteFuture",
    "connect",
]
