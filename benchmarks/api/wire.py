"""A client that costs next to nothing: HTTP/1.1 over one connection that stays open."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; `headers` have lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # JSON values
        """Return the body as JSON."""
        return json.loads(self.body)


class Wire:
    """One connection to a service on this machine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> Self:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """Send one request and return the answer to it."""
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        found = {
            name.casefold(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        length = int(found.get("content-length", "0"))
        return Answer(
            status=int(head[0].split()[1]),
            headers=found,
            body=await self._reader.readexactly(length) if length else b"",
        )

    def close(self) -> None:
        """Disconnect."""
        self._writer.close()
