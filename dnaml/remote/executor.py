"""`dnaml.connect`: a concurrent.futures.Executor whose jobs run in a service and outlive this process."""

import concurrent.futures
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar

from dnaml.remote.answers import NotReachable
from dnaml.remote.body import MOST_IN_BATCH, Json, body_of
from dnaml.remote.following import Follower
from dnaml.remote.future import RemoteFuture
from dnaml.remote.job import is_over
from dnaml.remote.wire import Wire
from dnaml.submission import PLAIN, Call, Options, innermost_executor

if TYPE_CHECKING:
    from dnaml.remote.aio import AsyncExecutor

T = TypeVar("T")


class RemoteExecutor(concurrent.futures.Executor):
    """Submits to a service by name; its futures go on waiting while the service is away."""

    def __init__(self, url: str, *, token: str | None = None, timeout_s: float = 30.0) -> None:
        self._address = (url, token, timeout_s)
        self._wire = Wire(url, token, timeout_s=timeout_s)
        self._follower = Follower(self._wire)
        self._closed = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> RemoteFuture[T]:  # the function's own
        """Submit a call; returns when the service has it on disk. Asking again never makes a second job."""
        return self._submit(getattr(fn, "dnaml_options", PLAIN), fn, args, kwargs)

    def options(self, **options: Any) -> "RemoteSubmitter":  # each option has its own type
        """Return a view of this executor whose submissions carry options: objective, constraints, name, ..."""
        return RemoteSubmitter(self, PLAIN.changed(**options))

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],  # the function's own arguments
        timeout: float | None = None,
        chunksize: int = 1,
    ) -> Iterator[T]:
        """Apply a function to every item, results in order; the jobs travel, and are planned, as batches.

        `chunksize` is taken for the sake of the standard and changes nothing: every item is a job.
        """
        if chunksize < 1:
            raise ValueError(f"chunksize must be at least 1, got {chunksize}")
        until_s = None if timeout is None else time.monotonic() + timeout
        options = getattr(fn, "dnaml_options", PLAIN)
        calls = [Call(fn=fn, args=args, options=options) for args in zip(*iterables, strict=False)]
        return _results(self.submit_all(calls), until_s)

    def submit_all(self, calls: Iterable[Call[T]]) -> list[RemoteFuture[T]]:
        """Submit several calls; each request of up to 500 is planned as a whole, all of it is accepted or none."""
        bodies = [body_of(call.fn, call.args, call.kwargs, call.options) for call in calls]
        found: list[RemoteFuture[T]] = []
        for first in range(0, len(bodies), MOST_IN_BATCH):
            found += self._send_all(bodies[first : first + MOST_IN_BATCH])
        return found

    def future(self, job_id: str) -> RemoteFuture[Any]:  # whatever the job returns
        """Return a future of a job that this or another process submitted."""
        expected = self._follower.expect()
        told = self._wire.ask("GET", f"/jobs/{job_id}")
        found: RemoteFuture[Any] = RemoteFuture(told["id"], self._wire)
        if not (is_over(told) and found._tell(told)):
            self._follower.keep([found], expected)
        return found

    def aio(self) -> "AsyncExecutor":
        """Return the same service for asyncio: `async with dnaml.connect(url).aio() as ex`."""
        from dnaml.remote.aio import AsyncExecutor

        url, token, timeout_s = self._address
        return AsyncExecutor(url, token=token, timeout_s=timeout_s)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more jobs; wait for the open ones. Without waiting they go on there, and their futures end."""
        self._closed = True
        if innermost_executor.get() is self:
            innermost_executor.set(None)
        kept = self._follower.open_futures()
        if cancel_futures:
            for future in kept:
                future.cancel()
        if wait and not self._wire.closed.is_set():
            concurrent.futures.wait(kept)
        self._follower.close()
        for future in self._follower.open_futures():
            future._fail(NotReachable(f"job {future.job_id} goes on, unfollowed: future(job_id) finds it again"))
        self._wire.close()

    def __enter__(self) -> Self:
        """Take the calls of `.remote(...)` until the end."""
        innermost_executor.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for the open jobs; after Ctrl-C they go on in the service, unfollowed."""
        self.shutdown(wait=kind is None or not issubclass(kind, KeyboardInterrupt))

    # -- inside ------------------------------------------------------------------------------------------------------

    def _submit(
        self, options: Options, fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> RemoteFuture[T]:
        self._check_open()
        body = body_of(fn, args, kwargs, options)
        expected = self._follower.expect()
        told = self._wire.ask("POST", "/jobs", body=body, key=options.idempotency_key or uuid.uuid4().hex)
        future: RemoteFuture[T] = RemoteFuture(told["id"], self._wire)
        self._follower.keep([future], expected)
        return future

    def _send_all(self, bodies: Sequence[Json]) -> list[RemoteFuture[Any]]:
        self._check_open()
        expected = self._follower.expect()
        told = self._wire.ask("POST", "/jobs/batch", body={"jobs": bodies}, key=uuid.uuid4().hex)
        futures: list[RemoteFuture[Any]] = [RemoteFuture(one["id"], self._wire) for one in told["items"]]
        self._follower.keep(futures, expected)
        return futures

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("cannot submit after shutdown")


class RemoteSubmitter:
    """A service with options: `dnaml.connect(url).options(objective="min_cost").submit(fn, ...)`."""

    def __init__(self, executor: RemoteExecutor, options: Options) -> None:
        self._executor = executor
        self._options = options

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> RemoteFuture[T]:
        """Submit a call that carries the options."""
        return self._executor._submit(self._options, fn, args, kwargs)

    def options(self, **options: Any) -> "RemoteSubmitter":
        """Return a view with more options."""
        return RemoteSubmitter(self._executor, self._options.changed(**options))


def connect(url: str, *, token: str | None = None, timeout_s: float = 30.0) -> RemoteExecutor:
    """Return an executor against a running service; a submission that finds none in time raises NotReachable.

    >>> with dnaml.connect("http://127.0.0.1:8750") as ex:  # nothing is sent before the first submission
    ...     type(ex).__name__
    'RemoteExecutor'
    """
    return RemoteExecutor(url, token=token, timeout_s=timeout_s)


def _results(futures: list[RemoteFuture[T]], until_s: float | None) -> Iterator[T]:
    """Give results in order; what has not started is withdrawn when the reader leaves."""
    left = list(reversed(futures))
    try:
        while left:
            yield left[-1].result(None if until_s is None else until_s - time.monotonic())
            left.pop()
    finally:
        for future in left:
            future.cancel()
