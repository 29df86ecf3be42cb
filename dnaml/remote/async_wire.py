"""Asks a service over HTTP from asyncio; the same rules as `dnaml.remote.wire`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from dnaml.remote.answers import AGAIN, NotReachable, Patience, check_url, problem, read, retry_after_s
from dnaml.remote.sse import ServerEvent
from dnaml.remote.wire import STREAM_SILENCE_S, Opened, connection


class AsyncWire:
    """Asks a service under its prefix; belongs to one event loop."""

    def __init__(self, url: str, token: str | None, *, timeout_s: float) -> None:
        import httpx

        self.url, self._timeout_s = check_url(url), timeout_s
        self._http = httpx.AsyncClient(**connection(self.url, token, timeout_s))

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        params: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Any:  # the JSON of the answer
        """Return the JSON of an answer, asking again while the service is away, busy or starting."""
        import httpx

        patience = Patience(self._timeout_s)
        headers = {} if key is None else {"Idempotency-Key": key}
        while True:
            asked_s = 0.0
            try:
                answer = await self._http.request(method, path, json=body, params=params, headers=headers)
            except httpx.TransportError as error:
                told = f"{type(error).__name__}: {error}"
            else:
                if answer.status_code not in AGAIN:
                    return read(answer.status_code, answer.content, self.url)
                asked_s = retry_after_s(answer.headers)
                told = f"status {answer.status_code}: {problem(answer.content)[1]}"
            pause_s = patience.pause_s(asked_s)
            if pause_s is None:
                raise NotReachable(f"{self.url}: does not answer ({told})")
            await asyncio.sleep(pause_s)

    @contextlib.asynccontextmanager
    async def stream(self, path: str, *, last_id: str = "") -> "AsyncIterator[AsyncStream]":
        """Open a stream of events; raise NotReachable when there is none, or it breaks."""
        import httpx

        headers = {"Last-Event-ID": last_id} if last_id else {}
        timeout = httpx.Timeout(max(self._timeout_s, 1.0), read=STREAM_SILENCE_S)
        try:
            async with self._http.stream("GET", path, headers=headers, timeout=timeout) as answer:
                if answer.status_code in AGAIN:
                    raise NotReachable(f"{self.url}: gives no stream (status {answer.status_code})")
                if answer.status_code >= 400:
                    read(answer.status_code, await answer.aread(), self.url)
                yield AsyncStream(answer, last_id)
        except (httpx.TransportError, httpx.StreamError) as error:
            raise NotReachable(f"{self.url}: the stream broke ({type(error).__name__}: {error})") from None

    async def close(self) -> None:
        """End the connections."""
        await self._http.aclose()


class AsyncStream(Opened):
    """An open stream of events."""

    async def events(self) -> AsyncIterator[list[ServerEvent]]:
        """Give the events as they come, an empty list for a sign of life."""
        async for piece in self._answer.aiter_raw():
            yield self._reader.feed(piece)
