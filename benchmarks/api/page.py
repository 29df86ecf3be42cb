"""U3's page: how long until a cold browser shows the pool and the queue of a full service, and what that weighs."""

import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.api.load import fill, resource_table
from benchmarks.api.served import Served
from benchmarks.report import Row

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
_READY = "() => document.querySelector('tbody tr') && document.querySelector('.chart svg') && window.socket?.connected"
_LOOKS = 5


def rows(quick: bool) -> list[Row]:
    """Return the rows of the page; the quick run has a tenth of the resources and a fiftieth of the queue."""
    resources, queued = (500, 2_000) if quick else (5_000, 100_000)
    paths = {"pool": "/ui/", "queue": "/ui/queue"}
    if CHROMIUM is None:
        told = "needs Debian's package chromium"
        return [Row(id=f"U3.{name}", metric=f"cold {name} page", value=None, unit="s", note=told) for name in paths]
    with tempfile.TemporaryDirectory() as folder:
        pool = Path(folder) / "pool.toml"
        pool.write_text("".join(resource_table(n) for n in range(resources)))
        with Served("--resources", str(pool), "--cores", "1") as served:
            asyncio.run(fill(served.port, queued))
            looked = {name: _looked(served, path) for name, path in paths.items()}
    told = f"{resources:,} resources, {queued:,} queued; slowest of {_LOOKS} fresh browsers on the same cores, wall"
    found = []
    for name, looks in looked.items():
        slowest_s = max(took_s for took_s, _, _ in looks)
        server_ms = 1e3 * sum(cpu_s for _, cpu_s, _ in looks) / len(looks)
        weight = max(weight_bytes for _, _, weight_bytes in looks)
        found += [
            Row(id=f"U3.{name}", metric=f"cold {name} page interactive", value=slowest_s, unit="s", bar=2.0, note=told),
            Row(id=f"U3.{name}.cpu", metric=f"{name} page, CPU of the service", value=server_ms, unit="ms"),
            Row(id=f"U3.{name}.weight", metric=f"{name} page over the wire, cold", value=weight / 1e3, unit="kB"),
        ]
    return found


def _looked(served: Served, path: str) -> list[tuple[float, float, float]]:
    """Return for each look seconds until tables, charts and sockets stand, CPU seconds of the service, and bytes."""
    from playwright.sync_api import sync_playwright

    environment: dict[str, str | float | bool] = {
        name: value for name, value in os.environ.items() if "proxy" not in name.casefold()
    }
    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS, env=environment)
        for _ in range(_LOOKS):
            context = browser.new_context()
            found.append(_look(served, context, f"http://127.0.0.1:{served.port}{path}"))
            context.close()
        browser.close()
    return found


def _look(served: Served, context: Any, url: str) -> tuple[float, float, float]:  # a context of Playwright
    page = context.new_page()
    watching = context.new_cdp_session(page)
    watching.send("Network.enable")
    weight: list[float] = []
    watching.on("Network.loadingFinished", lambda told: weight.append(told["encodedDataLength"]))
    before_s, began_s = served.cpu_s(), time.monotonic()
    page.goto(url)
    page.wait_for_function(_READY, timeout=60_000)
    return time.monotonic() - began_s, served.cpu_s() - before_s, sum(weight)
