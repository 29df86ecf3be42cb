"""The executor against a running service: `dnaml.connect` and what it returns."""

from dnaml.remote.executor import RemoteExecutor, connect
from dnaml.remote.future import RemoteFuture
from dnaml.remote.wire import NotReachable

__all__ = ["NotReachable", "RemoteExecutor", "RemoteFuture", "connect"]
