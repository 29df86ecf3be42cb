"""F2 and E9 over real sockets: memory under idle connections and endless bodies, and requests that are repeated."""

import asyncio
import contextlib
import json
import resource
import socket

from benchmarks.api.served import Served
from benchmarks.api.wire import Wire
from benchmarks.report import Row

SOCKETS, BODIES, BODY_BYTES = 10_000, 8, 64 << 20
REPEATS = 3


def rows(quick: bool) -> list[Row]:
    """Return the rows of F2 and E9; the quick run repeats 300 keys instead of 10,000."""
    with Served() as served:
        asyncio.run(_repeated(served.port, 5))
        before = served.resident_bytes()
        opened = _idle(served.port)
        grown = (served.resident_bytes() - before) / 2**20
        for one in opened:
            one.close()
        refused = sum(_endless(served.port, told=place % 2 == 0) == 413 for place in range(BODIES))
        grown = max(grown, (served.resident_bytes() - before) / 2**20)
    keys = 300 if quick else 10_000
    with Served() as served:
        doubled, changed = asyncio.run(_repeated(served.port, keys))
    told = f"{len(opened):,} sockets with half a head, then {BODIES} bodies of 64 MiB, with and without a length"
    return [
        Row(id="F2", metric="memory gained", value=grown, unit="MiB", bar=32.0, note=told),
        Row(id="F2.refused", metric="of these not answered 413", value=float(BODIES - refused), unit="", bar=0.0),
        Row(id="E9", metric="duplicates", value=float(doubled), unit="jobs", bar=0.0,
            note=f"{keys:,} keys, each sent {REPEATS} times at once over connections of their own"),
        Row(id="E9.changed", metric="same key, other body, not answered 409", value=float(changed), unit="", bar=0.0),
    ]  # fmt: skip


def _idle(port: int) -> list[socket.socket]:
    """Open connections that never say what they want, as many as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, SOCKETS + 500)), hard))
    opened = []
    with contextlib.suppress(OSError):  # no more descriptors: the row says how many there were
        for _ in range(SOCKETS):
            opened.append(socket.create_connection(("127.0.0.1", port), timeout=10))
            with contextlib.suppress(OSError):  # it may have been turned away already
                opened[-1].sendall(b"GET /healthz HTTP/1.1\r\nHo")
    return opened


def _endless(port: int, *, told: bool) -> int:
    """Send 64 MiB and return the status; a connection that is refused with the idle ones is tried again."""
    head = f"Content-Length: {BODY_BYTES}" if told else "Transfer-Encoding: chunked"
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as sock, contextlib.suppress(OSError):
            sock.sendall(f"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n".encode())
            sock.settimeout(0.0)
            for _ in range(BODY_BYTES >> 16):
                with contextlib.suppress(BlockingIOError):
                    found = sock.recv(64)
                    if found:
                        return int(found.split()[1])
                    break
                sock.settimeout(30.0)
                sock.sendall((b"" if told else b"10000\r\n") + b" " * 65536 + (b"" if told else b"\r\n"))
                sock.settimeout(0.0)
            sock.settimeout(30.0)
            found = sock.recv(64)
            if found:
                return int(found.split()[1])
    return 0


async def _repeated(port: int, keys: int) -> tuple[int, int]:
    """Return how many jobs there are too many, and how often a changed body was not refused."""
    wires = [await Wire.to(port) for _ in range(REPEATS)]
    doubled = changed = 0
    for number in range(keys):
        body = json.dumps({"computation": "benchmarks.api.calls:double", "args": [number]}).encode()
        key = f"key-{number}"
        answers = await asyncio.gather(*(wire.ask("POST", "/api/v1/jobs", body, Idempotency_Key=key) for wire in wires))
        doubled += len({answer.json()["id"] for answer in answers}) - 1
        other = await wires[0].ask("POST", "/api/v1/jobs", body.replace(b"double", b"wait_for"), Idempotency_Key=key)
        changed += other.status != 409
    seen, place = 0, "/api/v1/jobs?limit=500"
    while place:
        page = (await wires[0].ask("GET", place)).json()
        seen += len(page["items"])
        place = f"/api/v1/jobs?limit=500&cursor={page['next']}" if page["next"] else ""
    for wire in wires:
        wire.close()
    return doubled + seen - keys, changed
