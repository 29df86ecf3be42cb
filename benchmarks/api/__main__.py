"""`python -m benchmarks.api`: load, overload, hostile clients, plans per second, start-up, fuzz."""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx

from benchmarks.api import hostile, load, overload, page, plans, served
from benchmarks.api.fuzzing import Fuzz
from benchmarks.report import Row, main
from dnaml.rest.app import create_app
from dnaml.rest.service import Service
from dnaml.rest.settings import Limits, ServiceSettings

SEED = 7


def measure(quick: bool) -> Sequence[Row]:
    """Return every row; the quick run sends 20,000 mutated requests instead of 1,000,000."""
    return [
        *load.rows(quick),
        *plans.rows(quick),
        *served.rows(quick),
        *page.rows(quick),
        *overload.rows(quick),
        *hostile.rows(quick),
        *_fuzzed(20_000 if quick else 1_000_000),
    ]


def _fuzzed(count: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        limits = Limits(requests_per_s=1e6, burst=10_000_000)
        settings = ServiceSettings(
            state=Path(folder) / "state",
            root=Path(folder),
            allow=("tests.rest.work",),
            allow_argv=True,
            limits=limits,
        )
        service = Service(settings)
        app = create_app(settings, service)

        async def run() -> Fuzz:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8750") as client:
                fuzz = Fuzz(app, seed=SEED)
                await fuzz.run(client, count)
                return fuzz

        try:
            fuzz = asyncio.run(run())
        finally:
            service.close()
    failed = sum(number for status, number in fuzz.statuses.items() if status >= 500) + fuzz.failures
    told = f"{fuzz.sent} requests; statuses {dict(sorted(fuzz.statuses.items()))}"
    return [
        Row(id="F3.5xx", metric="5xx, or exceptions in the last handler", value=failed, unit="", bar=0.0, note=told),
        Row(id="F3.undocumented", metric="undocumented answers", value=len(fuzz.undocumented), unit="", bar=0.0),
    ]


if __name__ == "__main__":
    sys.exit(main("api", measure, seeds=[SEED]))
