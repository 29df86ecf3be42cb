"""`python -m benchmarks.api [--quick] [--json] [--only F1,F3]`: load, plans per second, start-up, the page, overload,
hostile clients, requests made from the document, fuzz."""

import asyncio
import sys
import tempfile
from pathlib import Path

from benchmarks.api import documented, hostile, load, overload, page, plans, served
from benchmarks.api.fuzzing import Fuzz
from benchmarks.report import Measure, Row, main
from dnaml.rest.app import create_app
from dnaml.rest.service import Service
from dnaml.rest.settings import Limits, ServiceSettings

SEED = 7


def _fuzzed(quick: bool) -> list[Row]:
    """Return the rows of mutated requests: 20,000 of them or 1,000,000."""
    with tempfile.TemporaryDirectory() as folder:
        service = Service(_settings(Path(folder)))
        fuzz = Fuzz(create_app(service.settings, service), seed=SEED)
        try:
            asyncio.run(fuzz.run(20_000 if quick else 1_000_000))
        finally:
            service.close()
    failed = sum(number for status, number in fuzz.statuses.items() if status >= 500) + fuzz.failures
    told = f"{fuzz.sent:,} requests; statuses {dict(sorted(fuzz.statuses.items()))}"
    return [
        Row(id="F3.5xx", metric="5xx, or exceptions in the last handler", value=failed, unit="", bar=0.0, note=told),
        Row(id="F3.undocumented", metric="undocumented answers", value=len(fuzz.undocumented), unit="", bar=0.0),
    ]


def _made(quick: bool) -> list[Row]:
    """Return the rows of requests made from the OpenAPI document: 1,000 of them or more than 100,000."""
    with tempfile.TemporaryDirectory() as folder:
        service = Service(_settings(Path(folder)))
        app = create_app(service.settings, service)
        try:
            found = documented.sent_to(app, 1_000 if quick else 110_000, seed=SEED)  # some have fewer than their share
            failures = app.state.gate.failures
        finally:
            service.close()
    told = f"{found.sent:,} cases by schemathesis over {found.operations} operations; {'; '.join(found.broken[:3])}"
    return [
        Row(id="F3.schema", metric="answers that the document does not describe, or 5xx", value=len(found.broken),
            unit="", bar=0.0, note=told),
        Row(id="F3.schema.last", metric="exceptions in the last handler", value=failures, unit="", bar=0.0),
    ]  # fmt: skip


def _settings(folder: Path) -> ServiceSettings:
    limits = Limits(requests_per_s=1e6, burst=10_000_000)
    allow = ("benchmarks.api.calls",)
    return ServiceSettings(state=folder / "state", root=folder, allow=allow, allow_argv=True, limits=limits)


PARTS: dict[str, Measure] = {
    "U1": load.rows,
    "U2": plans.rows,
    "U3": lambda quick: [*served.rows(quick), *page.rows(quick)],
    "F1": overload.rows,
    "F2": hostile.rows,  # and E9
    "F3": lambda quick: [*_fuzzed(quick), *_made(quick)],
}


if __name__ == "__main__":
    sys.exit(main("api", PARTS, seeds=[SEED]))
