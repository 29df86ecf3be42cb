"""A real service on a real socket in this process: real engine, real workers, asked over HTTP."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn

from dnaml.rest.app import create_app
from dnaml.rest.server import listen
from dnaml.rest.service import Service
from dnaml.rest.settings import ServiceSettings
from tests.rest.conftest import settings_of


class Served:
    """A service and its address."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.service = Service(settings)
        self.app = create_app(settings, self.service)
        listening = listen(settings)
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(self.app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1)
        )
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the service."""
        self.service.drain()
        self._server.should_exit = True
        self._thread.join(20)
        self.service.close()


@contextlib.contextmanager
def served(folder: Path, **changes: Any) -> Iterator[Served]:
    """Serve on a free port with two slots on this machine."""
    made = Served(replace(settings_of(folder, **changes), port=0))
    try:
        yield made
    finally:
        made.close()
