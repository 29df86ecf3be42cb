"""A thousand agents of nodes in one process, all but their work: they greet, beat, hear, and call again as agents do.

`python -m benchmarks.faults.hollow_agents` reads one JSON line with what to call, then lines that say "break": every
connection ends at one instant. It prints a JSON line with the seconds until each was welcomed, each time all are.
"""

import asyncio
import contextlib
import json
import platform
import random
import secrets
import sys
import time

from dnaml.core.resource import Resource, Site
from dnaml.execution.messages import FrameReader
from dnaml.execution.on_ray import wire
from dnaml.execution.release import release

_SHORTEST_S, _SLOWEST_S = 0.05, 1.0  # as an agent waits between two calls
_TIMING = wire.Timing()


class Hollow:
    """The agent of one node that does no work; `welcomed_s` is when the engine took it on last."""

    def __init__(self, name: str, port: int, token: bytes) -> None:
        self._name, self._port, self._token = name, port, token
        self._resource = Resource(id=name, site=Site.ON_PREM, domain=name, price_usd_per_h=1.0, spec={"cores": 1.0})
        self._heard_s = 0.0
        self._session, self._talk, self._used = secrets.token_hex(8), wire.Conversation(), False
        self.line: asyncio.StreamWriter | None = None
        self.welcomed_s = 0.0

    async def serve(self) -> None:
        """Call, hold the connection for as long as it lasts, and call again."""
        pause_s = _SHORTEST_S
        while True:
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                if await self._call():
                    pause_s = _SHORTEST_S
            if self._used and time.monotonic() - self._heard_s > _TIMING.dead_after_s:
                self._start_over()
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))
            pause_s = min(2 * pause_s, _SLOWEST_S)

    def beat(self) -> None:
        """Say that it is still here."""
        if self.line is not None:
            self.line.write(self._talk.aside(wire.Beat()))

    def hang_up(self) -> None:
        """End the connection as a network that fails does."""
        if self.line is not None:
            self.line.transport.abort()

    async def _call(self) -> bool:
        """Hold one connection; say whether it was welcomed on it."""
        async with asyncio.timeout(_TIMING.beat_every_s):
            reader, line = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            frames = FrameReader()
            async with asyncio.timeout(2 * _TIMING.beat_every_s):
                if not await self._greet(reader, line, frames):
                    self._start_over()
                    return False
            self.line, self.welcomed_s = line, time.monotonic()
            while True:
                async with asyncio.timeout(_TIMING.dead_after_s):
                    await self._hear(reader, frames)
        except (OSError, EOFError, TimeoutError):
            return self.line is line
        finally:
            self.line = None
            line.transport.abort()

    async def _greet(self, reader: asyncio.StreamReader, line: asyncio.StreamWriter, frames: FrameReader) -> bool:
        """Prove that it knows the token; False when the engine wants a new session."""
        (challenge,) = await self._hear(reader, frames)
        assert isinstance(challenge, wire.Challenge)
        hello = wire.Hello(
            wire.PROTOCOL,
            wire.proof(self._token, "agent", challenge.nonce),
            secrets.token_bytes(32),
            f"node-{self._name}",
            self._session,
            self._talk.received,
            platform.python_version(),
            release(),
            [self._resource],
            True,
            self._used,
        )
        line.write(self._talk.aside(hello))
        welcome = (await self._hear(reader, frames))[0]
        assert isinstance(welcome, wire.Welcome), welcome
        if not welcome.resumed:
            if self._used:
                return False
            self._talk = wire.Conversation()
        line.write(self._talk.again(welcome.received))
        return True

    async def _hear(self, reader: asyncio.StreamReader, frames: FrameReader) -> list[wire.ToAgent]:
        """Return what the engine says next; raises EOFError when it hangs up."""
        while True:
            data = await reader.read(1 << 16)
            if not data:
                raise EOFError
            self._heard_s = time.monotonic()
            bodies = [body for frame in frames.feed(data) if (body := self._talk.hear(frame)) is not None]
            told = [message for body in bodies for message in wire.for_agent(body)]
            self._used = self._used or any(isinstance(message, wire.Start) for message in told)
            if told:
                return told

    def _start_over(self) -> None:
        self._session, self._talk, self._used = secrets.token_hex(8), wire.Conversation(), False


async def serve_all(count: int, port: int, token: bytes) -> None:
    """Serve until standard input ends; each line of it breaks every connection at once."""
    agents = [Hollow(f"h{number}", port, token) for number in range(count)]
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    kept = [asyncio.create_task(agent.serve()) for agent in agents]
    kept.append(asyncio.create_task(_beat(agents)))
    broken_s = time.monotonic()
    while True:
        while any(agent.welcomed_s <= broken_s or agent.line is None for agent in agents):
            await asyncio.sleep(0.02)
        print(json.dumps([agent.welcomed_s - broken_s for agent in agents]), flush=True)
        if not await lines.readline():
            return
        broken_s = time.monotonic()
        for agent in agents:
            agent.hang_up()


async def _beat(agents: list[Hollow]) -> None:
    while True:
        await asyncio.sleep(_TIMING.beat_every_s)
        for agent in agents:
            agent.beat()


if __name__ == "__main__":
    asked = json.loads(sys.stdin.readline())
    asyncio.run(serve_all(asked["count"], asked["port"], bytes.fromhex(asked["token"])))
