"""U1: many resources, a long queue, an open stream of mixed requests: how long the slowest of each kind take.

Requests are sent at their time whether or not earlier ones were answered, and each is timed from when it was due.
"""

import asyncio
import json
import random
import tempfile
import time
from pathlib import Path

from benchmarks.api.served import SUBMITTED, Served
from benchmarks.api.wire import Wire
from benchmarks.report import Row

CONNECTIONS = 32
BARS = {"object": ("p99 of one object", 100.0), "submit": ("p99 of a durable submission", 250.0)}
BARS |= {"page": ("p99 of a page of a list", 1_000.0)}


def rows(quick: bool) -> list[Row]:
    """Return the rows of U1; the quick run has a tenth of the resources and a fiftieth of the queue, for 20 s."""
    resources, queued, rate, lasts_s = (500, 2_000, 100, 20) if quick else (5_000, 100_000, 300, 600)
    with tempfile.TemporaryDirectory() as folder:
        pool = Path(folder) / "pool.toml"
        pool.write_text("".join(resource_table(n) for n in range(resources)))
        with Served("--resources", str(pool), "--cores", "1") as served:
            ids = asyncio.run(fill(served.port, queued))
            before_bytes = served.resident_bytes()
            took, refused = asyncio.run(_load(served.port, ids, rate, lasts_s))
            after_bytes = served.resident_bytes()
    told = f"{resources:,} resources, {queued:,} queued, {rate} requests/s offered for {lasts_s} s, client beside it"
    found = [
        Row(id=f"U1.{kind}", metric=metric, value=_p99_ms(took[kind]), unit="ms", bar=bar, note=told)
        for kind, (metric, bar) in BARS.items()
    ]
    grown = Row(
        id="U1.memory", metric="memory gained under load", value=(after_bytes - before_bytes) / 2**20, unit="MiB",
        note=f"{before_bytes / 2**20:.0f} MiB before it; submissions add jobs",
    )  # fmt: skip
    bad = Row(id="U1.refused", metric="answers other than 200 and 202", value=float(refused), unit="", bar=0.0)
    return [*found, grown, bad]


def resource_table(n: int) -> str:
    """Return the n-th resource as a table of the file."""
    return f'[resources.r{n}]\ndomain = "here"\nprice_usd_per_h = {0.01 + n % 97 / 100}\n'


async def fill(port: int, count: int) -> list[str]:
    """Submit jobs that wait for ever, in batches, and return their ids."""
    wire, ids = await Wire.to(port), []
    for first in range(0, count, 500):
        jobs = [{"computation": "benchmarks.api.calls:wait_for", "args": [f"/nowhere/{first + n}"]} for n in range(500)]
        answer = await wire.ask("POST", "/api/v1/jobs/batch", json.dumps({"jobs": jobs[: count - first]}).encode())
        assert answer.status == 202, answer.body
        ids += [one["id"] for one in answer.json()["items"]]
    wire.close()
    return ids


async def _load(port: int, ids: list[str], rate: int, lasts_s: float) -> tuple[dict[str, list[float]], int]:
    """Ask for so long and return the seconds that each kind of request took, and how many were refused."""
    chance = random.Random(7)
    free: asyncio.Queue[Wire] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await Wire.to(port))
    took: dict[str, list[float]] = {"object": [], "submit": [], "page": []}
    refused = 0

    async def one(due_s: float) -> None:
        nonlocal refused
        kind = chance.choices(("object", "submit", "page"), (0.85, 0.05, 0.1))[0]
        method, path, body = "GET", f"/api/v1/jobs/{chance.choice(ids)}", b""
        if kind == "submit":
            method, path, body = "POST", "/api/v1/jobs", SUBMITTED
        elif kind == "page":
            path = chance.choice(("/api/v1/jobs?limit=100", "/api/v1/resources?limit=100"))
        wire = await free.get()
        answer = await wire.ask(method, path, body)
        free.put_nowait(wire)
        took[kind].append(time.monotonic() - due_s)
        refused += answer.status not in (200, 202)

    began_s = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for n in range(int(rate * lasts_s)):
            due_s = began_s + n / rate
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            group.create_task(one(due_s))
    return took, refused


def _p99_ms(took: list[float]) -> float:
    return sorted(took)[int(0.99 * len(took))] * 1e3
