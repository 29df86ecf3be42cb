"""Runs the application on a socket until SIGTERM or SIGINT, which end it in order.

Then no more jobs are admitted, streams end, requests in work are answered, the engine is closed (what
runs goes on with the next one), and `serve` returns.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI

from dnaml.core.errors import InputError
from dnaml.rest.patience import protocol_for
from dnaml.rest.settings import ServiceSettings

_GRACE_S = 2


def listen(settings: ServiceSettings) -> socket.socket:
    """Return a listening socket; raise InputError where the address cannot be used."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((settings.host.strip("[]"), settings.port))
    except OSError as error:
        made.close()
        raise InputError(f"{settings.host}:{settings.port}: cannot listen there: {error.strerror or error}") from error
    made.listen(512)
    return made


def serve(
    app: FastAPI,
    settings: ServiceSettings,
    listening: socket.socket,
    *,
    tls: tuple[str, str] | None = None,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called when requests are answered."""
    limits = settings.limits
    config = uvicorn.Config(
        app,
        http=protocol_for(limits),
        ws="auto",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=round(limits.idle_s),
        timeout_graceful_shutdown=_GRACE_S,
        h11_max_incomplete_event_size=64 << 10,
        ssl_certfile=tls[0] if tls else None,
        ssl_keyfile=tls[1] if tls else None,
    )
    server = _Server(config, app, ready)
    server.run(sockets=[listening])


class _Server(uvicorn.Server):
    """Drains the service at the first signal and returns at its end instead of dying by the signal again."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._app, self._ready = app, ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listen to the two signals while serving."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_end)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets=sockets)
        if self.started:
            self._ready()

    def _asked_to_end(self) -> None:
        service = self._app.state.service
        if service is not None:
            service.drain()
        self.should_exit = True
