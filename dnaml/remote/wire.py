"""Asks a service over HTTP: retries with jittered back-off, Retry-After honoured, problems as dnaml's errors."""

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dnaml.remote.answers import AGAIN, NotReachable, Patience, check_url, headers_of, problem, read, retry_after_s
from dnaml.remote.sse import EventReader, ServerEvent

if TYPE_CHECKING:
    import httpx

STREAM_SILENCE_S = 60.0  # a stream gives a sign of life four times as often


class Wire:
    """Asks a service under its prefix; safe to use from several threads."""

    def __init__(self, url: str, token: str | None, *, timeout_s: float) -> None:
        import httpx

        self.url, self._timeout_s = check_url(url), timeout_s
        self.closed = threading.Event()
        self._http = httpx.Client(**connection(self.url, token, timeout_s))

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        params: Mapping[str, Any] | None = None,
        key: str | None = None,
        within_s: float | None = None,
        wait_s: float = 0.0,
        once: bool = False,
    ) -> Any:  # the JSON of the answer
        """Return the JSON of an answer, asking again while the service is away, busy or starting.

        `wait_s` is how long the service itself may wait before it answers. With `once`, a request that may have
        arrived is not sent again.
        """
        import httpx

        patience = Patience(self._timeout_s if within_s is None else within_s)
        headers = {} if key is None else {"Idempotency-Key": key}
        timeout: Any = httpx.USE_CLIENT_DEFAULT if not wait_s else max(self._timeout_s, 1.0) + wait_s
        while True:
            asked_s = 0.0
            try:
                answer = self._http.request(method, path, json=body, params=params, headers=headers, timeout=timeout)
            except httpx.TransportError as error:
                told = f"{type(error).__name__}: {error}"
                if once and not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                    raise NotReachable(
                        f"{self.url}: did not answer, and may have done it all the same ({told})"
                    ) from None
            else:
                if answer.status_code not in AGAIN:
                    return read(answer.status_code, answer.content, self.url)
                asked_s = retry_after_s(answer.headers)
                told = f"status {answer.status_code}: {problem(answer.content)[1]}"
            pause_s = patience.pause_s(asked_s)
            if pause_s is None or self.closed.wait(pause_s):
                raise NotReachable(f"{self.url}: does not answer ({told})")

    @contextlib.contextmanager
    def stream(self, path: str, *, params: Mapping[str, Any] | None = None, last_id: str = "") -> "Iterator[Stream]":
        """Open a stream of bytes or events; raise NotReachable when there is none, or it breaks."""
        import httpx

        headers = {"Last-Event-ID": last_id} if last_id else {}
        timeout = httpx.Timeout(max(self._timeout_s, 1.0), read=STREAM_SILENCE_S)
        try:
            with self._http.stream("GET", path, params=params, headers=headers, timeout=timeout) as answer:
                if answer.status_code in AGAIN:
                    raise NotReachable(f"{self.url}: gives no stream (status {answer.status_code})")
                if answer.status_code >= 400:
                    read(answer.status_code, answer.read(), self.url)
                yield Stream(answer, last_id)
        except (httpx.TransportError, httpx.StreamError) as error:
            raise NotReachable(f"{self.url}: the stream broke ({type(error).__name__}: {error})") from None

    def close(self) -> None:
        """End the connections and every pause."""
        self.closed.set()
        self._http.close()


def connection(url: str, token: str | None, timeout_s: float) -> dict[str, Any]:  # the arguments of httpx's clients
    """Return what a client of a service is made with, be it plain or asynchronous."""
    import httpx

    limits = httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=10.0)
    return {
        "base_url": f"{url}/api/v1",
        "headers": headers_of(token),
        "timeout": max(timeout_s, 1.0),
        "limits": limits,
    }


class Opened:
    """The answer that a stream is read from, and how far it was read."""

    def __init__(self, answer: "httpx.Response", last_id: str) -> None:
        self._answer = answer
        self._reader = EventReader()
        self._reader.last_id = last_id

    @property
    def last_id(self) -> str:
        """Return the id after which a new stream would go on."""
        return self._reader.last_id


class Stream(Opened):
    """An open stream; `interrupt` ends it from another thread."""

    def pieces(self) -> Iterator[bytes]:
        """Give the bytes as they come."""
        yield from self._answer.iter_raw()

    def events(self) -> Iterator[list[ServerEvent]]:
        """Give the events as they come, an empty list for a sign of life."""
        for piece in self._answer.iter_raw():
            yield self._reader.feed(piece)

    def interrupt(self) -> None:
        """End the stream: whoever reads it finds it broken. Closing alone would not wake a reader."""
        network = self._answer.extensions.get("network_stream")
        raw = network.get_extra_info("socket") if network is not None else None
        if raw is not None:
            with contextlib.suppress(OSError):
                raw.shutdown(socket.SHUT_RDWR)
