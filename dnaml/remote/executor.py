"""`dnaml.connect`: a concurrent.futures.Executor whose jobs run in a service and outlive this process."""

import concurrent.futures
import threading
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from dnaml.core.errors import DnamlError, InputError
from dnaml.remote.future import RemoteFuture
from dnaml.remote.names import check_json, name_of
from dnaml.remote.wire import NotReachable, Wire

T = TypeVar("T")
_LOOK_EVERY_S = 0.2


class RemoteExecutor(concurrent.futures.Executor):
    """Submits to a service by name; its futures go on waiting while the service is away."""

    def __init__(self, url: str, *, token: str | None = None, timeout_s: float = 30.0) -> None:
        self._wire = Wire(url, token, timeout_s=timeout_s)
        self._open: dict[str, RemoteFuture[Any]] = {}  # whatever the jobs return
        self._news = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._follow, name="dnaml-remote", daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> RemoteFuture[T]:  # the function's own
        """Submit a call; returns when the service has it on disk. Asking again never makes a second job."""
        if self._over:
            raise RuntimeError("cannot submit after shutdown")
        name = name_of(fn)
        check_json(list(args), "args")
        check_json(kwargs, "kwargs")
        if args and kwargs:
            raise InputError(f"{name}: give all arguments by position or all by name; a job's args are one of both")
        body = {"computation": name, "args": kwargs or list(args)}
        told = self._wire.ask("POST", "/jobs", body=body, key=uuid.uuid4().hex)
        return self._keep(RemoteFuture(told["id"], self._wire))

    def future(self, job_id: str) -> RemoteFuture[Any]:  # whatever the job returns
        """Return a future of a job that this or another process submitted."""
        told = self._wire.ask("GET", f"/jobs/{job_id}")
        found: RemoteFuture[Any] = RemoteFuture(told["id"], self._wire)
        return found if found._tell(told) else self._keep(found)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more jobs; wait for the open ones. Without waiting they go on in the service, unfollowed."""
        self._over = True
        with self._news:
            kept = list(self._open.values())
        if cancel_futures:
            for future in kept:
                future.cancel()
        if wait:
            concurrent.futures.wait(kept)
        self._wire.closed.set()
        with self._news:
            self._news.notify_all()
        self._thread.join()
        self._wire.close()

    def _keep(self, future: RemoteFuture[T]) -> RemoteFuture[T]:
        with self._news:
            self._open[future.job_id] = future
            self._news.notify_all()
        return future

    def _follow(self) -> None:
        while not self._wire.closed.is_set():
            with self._news:
                while not self._open and not self._wire.closed.is_set():
                    self._news.wait()
                kept = list(self._open.values())
            for future in kept:
                if self._is_over(future):
                    with self._news:
                        self._open.pop(future.job_id, None)
            self._wire.closed.wait(_LOOK_EVERY_S)

    def _is_over(self, future: RemoteFuture[Any]) -> bool:  # whatever the job returns
        try:
            return future._tell(self._wire.ask("GET", f"/jobs/{future.job_id}"))
        except NotReachable:
            return False  # it is away: the job waits in its journal, and so does the future
        except DnamlError as error:
            if not future.done():
                future.set_exception(error)
            return True


def connect(url: str, *, token: str | None = None, timeout_s: float = 30.0) -> RemoteExecutor:
    """Return an executor against a running service; a submission that finds none in time raises NotReachable.

    >>> with dnaml.connect("http://127.0.0.1:8750") as ex:  # nothing is sent before the first submission
    ...     type(ex).__name__
    'RemoteExecutor'
    """
    return RemoteExecutor(url, token=token, timeout_s=timeout_s)
