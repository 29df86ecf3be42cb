"""Tells jobs how they end, in asyncio: by one event stream for all of them, by asking while there is none."""

import asyncio
import contextlib
import random
import time
from collections.abc import Iterable
from typing import Any

from dnaml.core.errors import DnamlError
from dnaml.remote.answers import NotReachable
from dnaml.remote.async_wire import AsyncStream, AsyncWire
from dnaml.remote.book import FEW, Book, Sweep
from dnaml.remote.following import IDLE_S, MOST_PAUSE_S, PAUSE_S
from dnaml.remote.job import BEGUN, OVER, Told, failure_of, is_over
from dnaml.remote.sse import ServerEvent


class Expected:
    """The end of a job that is waited for; belongs to one event loop."""

    def __init__(self, job_id: str) -> None:
        self.job_id, self.begun = job_id, False
        self.result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()  # whatever the job returns
        self.result.add_done_callback(_seen)

    def tell(self, told: Told) -> bool:
        """Take in what the service says of the job; True once it is over."""
        self.begun = self.begun or told["state"] in BEGUN or told["state"] in OVER
        if self.result.done() or not is_over(told):
            return self.result.done()
        failure = failure_of(told)
        if failure is None:
            self.result.set_result(told["result"])
        else:
            self.result.set_exception(failure)
        return True

    def fail(self, error: BaseException) -> None:
        """Take in that nothing more can be heard of the job."""
        if not self.result.done():
            self.result.set_exception(error)


class AsyncFollower:
    """Follows the open jobs of one executor, in a task that begins with the first of them."""

    def __init__(self, wire: AsyncWire) -> None:
        self._wire = wire
        self._book: Book[Expected] = Book()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._last_id = ""
        self._pause_s = PAUSE_S

    def expect(self) -> int:
        """Say that a job is about to come; what this returns is handed to `keep` with it."""
        if self._task is None:
            self._task = asyncio.create_task(self._follow(), name="dnaml-remote")
        return self._book.round

    async def keep(self, jobs: Iterable[Expected], expected: int) -> None:
        """Follow jobs until they are over."""
        missed = [job for job in jobs if self._book.keep(job.job_id, job, expected)]
        self._news.set()
        for job in missed:  # it may have ended before anybody knew its id
            while not await self._answered(job):
                await asyncio.sleep(PAUSE_S)

    async def all_over(self) -> None:
        """Wait until no job is open."""
        waiting = [job.result for job in self._book.open.values()]
        if waiting:
            await asyncio.wait(waiting)

    async def close(self) -> None:
        """End the task; jobs that are open go on in the service, and nobody here hears of them."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for job in self._book.open.values():
            job.result.cancel()

    async def _follow(self) -> None:
        while True:
            while not self._book.open:
                self._news.clear()
                await self._news.wait()
            try:
                await self._listen()
            except DnamlError:  # no stream, or no longer: the jobs themselves say what is wrong, if anything is
                with contextlib.suppress(NotReachable):
                    await self._ask_about_all()
            if self._book.open:
                await asyncio.sleep(self._pause_s * random.uniform(0.5, 1.0))
                self._pause_s = min(2 * self._pause_s, MOST_PAUSE_S)

    async def _listen(self) -> None:
        async with self._wire.stream("/events", last_id=self._last_id) as stream:
            self._book.round += 1
            await self._ask_about_all()
            self._pause_s = PAUSE_S
            await self._read(stream)

    async def _read(self, stream: AsyncStream) -> None:
        busy_s = time.monotonic()
        async for events in stream.events():
            for event in events:
                await self._take(event)
            self._last_id = stream.last_id
            now_s = time.monotonic()
            busy_s = now_s if self._book.open else busy_s
            if now_s - busy_s > IDLE_S:
                return

    async def _take(self, event: ServerEvent) -> None:
        found = self._book.take(event)
        if found is not None:
            job, ended = found
            job.begun = True
            if ended:
                await self._ask(job)

    async def _ask_about_all(self) -> None:
        waiting = list(self._book.open.values())
        if len(waiting) > FEW:
            sweep = Sweep({job.job_id: job for job in waiting})
            with contextlib.suppress(DnamlError):  # asked one by one, each is told what is wrong
                while sweep.more:
                    sweep.take(await self._wire.ask("GET", "/jobs", params=sweep.params()))
            waiting = sweep.wanted()
        for job in waiting:
            await self._ask(job)

    async def _answered(self, job: Expected) -> bool:
        try:
            await self._ask(job)
        except NotReachable:
            return False
        return True

    async def _ask(self, job: Expected) -> None:
        try:
            over = job.tell(await self._wire.ask("GET", f"/jobs/{job.job_id}"))
        except NotReachable:
            raise
        except DnamlError as error:
            job.fail(error)
            over = True
        if over:
            self._book.close(job.job_id)


def _seen(result: "asyncio.Future[Any]") -> None:
    """Look at an end, so that one nobody awaits is not complained about."""
    if not result.cancelled():
        result.exception()
