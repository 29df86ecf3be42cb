"""A real service in a process of its own with real jobs, and a real browser that looks at its page."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from dnaml.rest.auth import Scope, Tokens

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "build" / "screenshots"  # build/ is not kept by git
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE_MS = 30_000
RESOURCES = """
[resources.quick]
slots = 2
price = 0.42
memory = "16GB"
description = "as it is"
spec = {cores = 2.0, fp32_flop_per_s = 8.9e10, fp64_flop_per_s = 4.4e10, sequential_bytes_per_s = 1.2e10}
[resources.thrifty]
price = 0.11
memory = "8GB"
environment = {OPENBLAS_CORETYPE = "Prescott"}
spec = {cores = 1.0, fp32_flop_per_s = 2.2e10, sequential_bytes_per_s = 9e9, clock_average_hz = 2.6e9}
"""
_ARGUMENTS = (
    "--no-sandbox",  # as root there is none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(slots=True)
class Stage:
    """A service that asks for tokens, and what the tests know of it."""

    folder: Path
    words: tuple[str, ...] = ()
    tokens: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    url: str = ""
    process: Any = None

    def start(self) -> None:
        """Start the service and wait until it says where it is."""
        command = [sys.executable, "-m", "dnaml", "serve", "--port", "0", "--json", "--quiet", "--cores", "2"]
        command += ["--state", str(self.folder / "state"), "--root", str(ROOT), "--allow", "tests.dashboard.work"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*command, *self.words], stdout=subprocess.PIPE, stderr=log, cwd=ROOT)
        self.url = json.loads(self.process.stdout.readline())["url"]

    def give(self, *names: str, tenant: str = "ours", scope: Scope = Scope.ADMIN) -> None:
        """Make tokens by name."""
        kept = Tokens(self.folder / "state" / "tokens.json")
        self.tokens |= {name: kept.create(name, tenant=tenant, scope=scope) for name in names}

    def ask(self, method: str, path: str, token: str = "ours", **more: Any) -> Any:
        """Ask the REST API and return its answer."""
        headers = {"Authorization": f"Bearer {self.tokens[token]}"} if self.tokens else {}
        answer = httpx.request(method, f"{self.url}/api/v1{path}", headers=headers, timeout=70, **more)
        assert answer.status_code < 400, answer.text
        return answer.json()

    def submit(self, name: str, function: str, *args: Any, token: str = "ours") -> str:
        """Submit a job and remember its id by its name."""
        body = {"name": name, "computation": f"tests.dashboard.work:{function}", "args": list(args)}
        self.jobs[name] = self.ask("POST", "/jobs", token, json=body)["id"]
        return self.jobs[name]

    def ended(self, name: str) -> str:
        """Wait for a job's end and return its state."""
        return str(self.ask("GET", f"/jobs/{self.jobs[name]}?wait_s=60")["state"])

    def until_running(self, name: str) -> None:
        """Wait until a job runs."""
        while self.ask("GET", f"/jobs/{self.jobs[name]}?wait_s=0.1")["state"] != "RUNNING":
            pass


@contextmanager
def stage(folder: Path, *words: str, prepare: tuple[str, ...] = ()) -> Iterator[Stage]:
    """Serve on a folder; tokens named in `prepare` are there from the start."""
    made = Stage(folder, words)
    (folder / "state").mkdir(parents=True)
    made.give(*prepare)
    made.start()
    try:
        yield made
    finally:
        made.process.terminate()
        try:
            made.process.wait(20)
        except subprocess.TimeoutExpired:
            made.process.kill()
            made.process.wait(20)


@contextmanager
def browser() -> Iterator[Any]:
    """Run a headless browser; it reaches what this machine serves and is told of nothing else."""
    from playwright.sync_api import sync_playwright

    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.casefold()}
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_ARGUMENTS), env=environment)
        yield found
        found.close()


class Visit:
    """One browser context with one page, and everything that went wrong or left the host on it."""

    def __init__(self, found: Any, of: Stage, *, width: int = 1280, scheme: str = "light") -> None:
        self.stage = of
        self.context = found.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.wrong: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda said: said.type == "error" and self.wrong.append(said.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.wrong.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("websocket", lambda socket: self.asked.append(socket.url))

    def log_in(self, token: str) -> None:
        """Give a token at the door."""
        self.page.goto(f"{self.stage.url}/")
        self.page.fill("#token", self.stage.tokens[token])
        self.page.click("button[type=submit]")
        self.page.wait_for_url(f"{self.stage.url}/ui/")

    def open(self, path: str) -> None:
        """Open a page and wait until it shows what it reads."""
        self.page.goto(f"{self.stage.url}/ui{path}")
        self.page.wait_for_selector("h1")
        self.page.wait_for_function("() => !document.querySelector('.waits')")

    def left_the_host(self) -> list[str]:
        """Return what was asked of anybody else."""
        host = self.stage.url.partition("//")[2]
        return [url for url in self.asked if not url.startswith((f"http://{host}/", f"ws://{host}/", "data:", "blob:"))]

    def shot(self, name: str) -> None:
        """Keep a picture of the whole page."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True)

    def close(self) -> None:
        """Forget the visit."""
        self.context.close()
