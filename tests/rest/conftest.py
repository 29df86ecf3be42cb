"""A real service in this process: a real engine with real workers on a private state folder, asked through ASGI."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from dnaml.core.resource import Resource
from dnaml.rest.app import create_app
from dnaml.rest.auth import Scope
from dnaml.rest.service import Service
from dnaml.rest.settings import Limits, ServiceSettings

WORK = "tests.rest.work"


class Client:
    """Asks an application in this process; each call is one request on an event loop of the client's own."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.service = Service(settings)
        self.app = create_app(settings, self.service)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.headers: dict[str, str] = {}

    def call(self, work: Callable[[httpx.AsyncClient], Coroutine[Any, Any, Any]]) -> Any:
        """Run something with an async client and return what it returns."""

        async def run() -> Any:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8750") as client:
                return await work(client)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(60)

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send one request below /api/v1, or to a path that begins with two slashes outside of it."""
        url = path[1:] if path.startswith("//") else f"/api/v1{path}"
        more["headers"] = {**self.headers, **more.get("headers", {})}
        found: httpx.Response = self.call(lambda client: client.request(method, url, **more))
        return found

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return self.request("POST", path, json=body, **more)

    def submit(self, function: str, *args: Any, **more: Any) -> str:
        """Submit a function of the work module and return the job's id."""
        answer = self.post("/jobs", {"computation": f"{WORK}:{function}", "args": list(args), **more})
        assert answer.status_code == 202, answer.text
        found: str = answer.json()["id"]
        return found

    def ended(self, job_id: str) -> Any:
        """Wait for a job's end and return the job."""
        job = self.get(f"/jobs/{job_id}?wait_s=60").json()
        assert job["state"] in ("SUCCEEDED", "FAILED", "CANCELLED"), job
        return job

    def close(self) -> None:
        self.service.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


def settings_of(folder: Path, **changes: Any) -> ServiceSettings:
    """Return the settings of a service on a folder, with two slots on this machine."""
    root = folder / "root"
    root.mkdir(exist_ok=True, parents=True)
    base = ServiceSettings(
        state=folder / "state",
        root=root,
        allow=(WORK, "benchmarks.api.calls"),
        allow_argv=True,
        cores=2,
        resources=(Resource(id="here", slots=2, price_usd_per_h=0.5, spec={"cores": 2.0}),),
        limits=Limits(heartbeat_s=0.2),
    )
    return replace(base, **changes)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A service on loopback that asks for no token, one for a module."""
    client = Client(settings_of(tmp_path_factory.mktemp("service")))
    yield client
    client.close()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, dict[str, str]]]:
    """A service that asks for tokens, and tokens by what they are for."""
    client = Client(settings_of(tmp_path_factory.mktemp("guarded"), token_required=True))
    tokens = client.service.tokens
    made = {scope.value: tokens.create(scope.value, tenant="ours", scope=scope) for scope in Scope}
    made["other"] = tokens.create("other", tenant="theirs", scope=Scope.ADMIN)
    made["short"] = tokens.create("short", tenant="ours", scope=Scope.ADMIN, lasts_s=1e-6)
    yield client, made
    client.close()
