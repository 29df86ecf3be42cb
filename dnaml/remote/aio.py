"""The service for asyncio: `async with dnaml.connect(url).aio() as ex`, then `await (await ex.submit(fn, 1))`."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from dnaml.core.errors import NotFoundError
from dnaml.remote.async_following import AsyncFollower, Expected
from dnaml.remote.async_wire import AsyncWire
from dnaml.remote.body import MOST_IN_BATCH, Json, body_of
from dnaml.remote.future import RemoteDecision
from dnaml.remote.job import is_over
from dnaml.submission import PLAIN, Call, Options

T = TypeVar("T")


class AsyncJob(Generic[T]):
    """A job in a service; awaiting it gives its result, or raises what it raises."""

    def __init__(self, job_id: str, wire: AsyncWire) -> None:
        self.job_id, self._wire = job_id, wire
        self.expected = Expected(job_id)

    def __await__(self) -> Generator[Any, None, T]:
        """Wait for the result; a waiter that is cancelled leaves the job alone."""
        return self.result().__await__()

    async def result(self) -> T:
        """Wait for the result."""
        found: T = await asyncio.shield(self.expected.result)
        return found

    def done(self) -> bool:
        """Say whether the job is over."""
        return self.expected.result.done()

    def running(self) -> bool:
        """Say whether the job has begun and is not over."""
        return self.expected.begun and not self.done()

    async def stop(self) -> None:
        """Ask a waiting or running job to end; awaiting it then raises ComputationStopped."""
        if not self.done():
            await self._wire.ask("DELETE", f"/jobs/{self.job_id}")

    async def decision(self) -> RemoteDecision:
        """Return the newest decision about this job; waits until it was placed."""
        while True:
            try:
                return RemoteDecision(await self._wire.ask("GET", f"/jobs/{self.job_id}/decision"))
            except NotFoundError:
                if self.done():
                    raise
            await asyncio.wait([self.expected.result], timeout=0.2)

    async def record(self) -> Json:
        """Return what the service tells of this job: its row, result and attempts."""
        told: Json = await self._wire.ask("GET", f"/jobs/{self.job_id}")
        return told | {"attempts": (await self._wire.ask("GET", f"/jobs/{self.job_id}/attempts"))["items"]}


class AsyncExecutor:
    """Submits to a service by name from asyncio; its jobs go on waiting while the service is away."""

    def __init__(self, url: str, *, token: str | None = None, timeout_s: float = 30.0) -> None:
        self._wire = AsyncWire(url, token, timeout_s=timeout_s)
        self._follower = AsyncFollower(self._wire)

    async def __aenter__(self) -> Self:
        """Return itself; nothing is sent before the first submission."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the open jobs unless an error is on its way, then close."""
        if kind is None:
            await self._follower.all_over()
        await self.aclose()

    async def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> AsyncJob[T]:  # the function's own
        """Submit a call; returns when the service has it on disk. Asking again never makes a second job."""
        return await self._submit(getattr(fn, "dnaml_options", PLAIN), fn, args, kwargs)

    def options(self, **options: Any) -> "AsyncSubmitter":  # each option has its own type
        """Return a view of this executor whose submissions carry options: objective, constraints, name, ..."""
        return AsyncSubmitter(self, PLAIN.changed(**options))

    async def submit_all(self, calls: Iterable[Call[T]]) -> list[AsyncJob[T]]:
        """Submit several calls; each request of up to 500 is planned as a whole, all of it is accepted or none."""
        bodies = [body_of(call.fn, call.args, call.kwargs, call.options) for call in calls]
        found: list[AsyncJob[T]] = []
        for first in range(0, len(bodies), MOST_IN_BATCH):
            found += await self._send_all(bodies[first : first + MOST_IN_BATCH])
        return found

    async def map(self, fn: Callable[..., T], *iterables: Iterable[Any]) -> AsyncIterator[T]:
        """Apply a function to every item, results in order; the jobs travel, and are planned, as batches."""
        options = getattr(fn, "dnaml_options", PLAIN)
        calls = [Call(fn=fn, args=args, options=options) for args in zip(*iterables, strict=False)]
        for job in await self.submit_all(calls):
            yield await job

    async def job(self, job_id: str) -> AsyncJob[Any]:  # whatever the job returns
        """Return a job that this or another process submitted."""
        expected = self._follower.expect()
        told = await self._wire.ask("GET", f"/jobs/{job_id}")
        found: AsyncJob[Any] = AsyncJob(told["id"], self._wire)
        if is_over(told):
            found.expected.tell(told)
        else:
            await self._follower.keep([found.expected], expected)
        return found

    async def aclose(self) -> None:
        """Stop following; open jobs go on in the service, and awaiting them here raises CancelledError."""
        await self._follower.close()
        await self._wire.close()

    async def _submit(
        self, options: Options, fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> AsyncJob[T]:
        body = body_of(fn, args, kwargs, options)
        expected = self._follower.expect()
        told = await self._wire.ask("POST", "/jobs", body=body, key=options.idempotency_key or uuid.uuid4().hex)
        job: AsyncJob[T] = AsyncJob(told["id"], self._wire)
        await self._follower.keep([job.expected], expected)
        return job

    async def _send_all(self, bodies: Sequence[Json]) -> list[AsyncJob[Any]]:
        expected = self._follower.expect()
        told = await self._wire.ask("POST", "/jobs/batch", body={"jobs": bodies}, key=uuid.uuid4().hex)
        jobs: list[AsyncJob[Any]] = [AsyncJob(one["id"], self._wire) for one in told["items"]]
        await self._follower.keep([job.expected for job in jobs], expected)
        return jobs


class AsyncSubmitter:
    """A service with options: `await ex.options(objective="min_cost").submit(fn, ...)`."""

    def __init__(self, executor: AsyncExecutor, options: Options) -> None:
        self._executor = executor
        self._options = options

    async def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> AsyncJob[T]:
        """Submit a call that carries the options."""
        return await self._executor._submit(self._options, fn, args, kwargs)

    def options(self, **options: Any) -> "AsyncSubmitter":
        """Return a view with more options."""
        return AsyncSubmitter(self._executor, self._options.changed(**options))
