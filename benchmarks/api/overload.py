"""F1: ten times the clients that keep the service busy: what it still answers, and if it looks alive meanwhile."""

import asyncio
import time
from collections import Counter

from benchmarks.api.plans import bodies
from benchmarks.api.served import Served
from benchmarks.api.wire import Wire
from benchmarks.report import Op, Row

CLIENTS, TIMES, BATCH = 40, 10, 20
LOST_AFTER_S = 5.0


def rows(quick: bool) -> list[Row]:
    """Return the rows of F1; the quick run lasts 10 s a phase."""
    lasts_s = 10.0 if quick else 60.0
    with Served() as served:
        asyncio.run(_asking(served.port, CLIENTS, 2.0))
        began_s = served.cpu_s()
        peak, _ = asyncio.run(_asking(served.port, CLIENTS, lasts_s))
        peak_s = served.cpu_s() - began_s
        over, beats = asyncio.run(_asking(served.port, CLIENTS * TIMES, lasts_s))
        over_s = served.cpu_s() - began_s - peak_s
    told = (
        f"{CLIENTS} clients, then {CLIENTS * TIMES} that come back after Retry-After, plans of {BATCH} computations; "
        f"{peak[200] / lasts_s:.0f} and {over[200] / lasts_s:.0f} answered a second, {over[429]} times 429; "
        "share of the answers per CPU second of the service, which the clients' own work leaves alone"
    )
    share = over[200] / over_s / (peak[200] / peak_s)
    other = sum(n for status, n in over.items() if status not in (200, 429))
    return [
        Row(id="F1", metric="goodput at 10 x the clients", value=share, unit="", op=Op.AT_LEAST, bar=0.8, note=told),
        Row(id="F1.beats", metric="signs of life lost", value=float(beats), unit="", bar=0.0,
            note=f"/healthz ten times a second, lost when not 200 within {LOST_AFTER_S:.0f} s"),
        Row(id="F1.unhinted", metric="refusals without Retry-After", value=float(over[-1]), unit="", bar=0.0),
        Row(id="F1.other", metric="answers other than 200 and 429", value=float(other - over[-1]), unit="", bar=0.0),
    ]  # fmt: skip


async def _asking(port: int, clients: int, lasts_s: float) -> tuple[Counter[int], int]:
    """Return the answers by status (-1: refused without Retry-After), and how many signs of life were lost."""
    asked, seen, lost = bodies(50, BATCH), Counter[int](), 0
    until_s = time.monotonic() + lasts_s

    async def client(number: int) -> None:
        wire = await Wire.to(port)
        while time.monotonic() < until_s:
            answer = await wire.ask("POST", "/api/v1/plans", asked[number % len(asked)])
            if time.monotonic() < until_s:
                seen[answer.status] += 1
            if answer.status == 429:
                after = answer.headers.get("retry-after", "")
                seen[-1] += not after.isdigit()
                await asyncio.sleep(min(float(after or 1.0), max(0.0, until_s - time.monotonic())))
        wire.close()

    async def pulse() -> int:
        gone, wire = 0, await Wire.to(port)
        while time.monotonic() < until_s:
            began_s = time.monotonic()
            answer = await wire.ask("GET", "/healthz")
            gone += answer.status != 200 or time.monotonic() - began_s > LOST_AFTER_S
            await asyncio.sleep(0.1)
        wire.close()
        return gone

    beating = asyncio.create_task(pulse())
    await asyncio.gather(*(client(number) for number in range(clients)))
    lost = await beating
    return seen, lost
