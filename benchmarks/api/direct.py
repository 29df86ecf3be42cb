"""Asks an application in this process, without a client library or a socket between: the cost is the application's."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote, urlencode

from benchmarks.api.wire import Answer

Message = MutableMapping[str, Any]  # ASGI's own values
Asgi = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


async def ask(
    app: Asgi,
    method: str,
    raw_path: str,
    body: bytes = b"",
    *,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request as a server would hand it on and return the answer; the path is given as it is on the wire."""
    given = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    parts: list[bytes] = []
    head: Message = {"status": 0, "headers": []}
    told = False

    async def receive() -> Message:
        nonlocal told
        kind = "http.disconnect" if told else "http.request"
        told = True
        return {"type": kind, "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            head.update(message)
        else:
            parts.append(message.get("body", b""))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": unquote(raw_path),
        "raw_path": raw_path.encode(),
        "query_string": urlencode(params or {}).encode(),
        "headers": [(b"host", b"localhost"), *given],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8750),
        "scheme": "http",
        "root_path": "",
    }
    await app(scope, receive, send)
    found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in head["headers"]}
    return Answer(status=head["status"], headers=found, body=b"".join(parts))
