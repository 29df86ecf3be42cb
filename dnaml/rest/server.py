"""Runs the application on a socket: patience with slow clients is limited, and SIGTERM ends it in order.

SIGTERM or SIGINT: no more jobs are admitted, streams end, requests in work are answered, the engine is closed (what
runs goes on with the next one), and `serve` returns.
"""

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dnaml.core.errors import InputError
from dnaml.rest.gate import ARRIVED_S
from dnaml.rest.settings import Limits, ServiceSettings

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


def protocol_for(limits: Limits) -> type[HttpToolsProtocol]:
    """Return a protocol that closes connections whose head does not come in time, and those too many."""

    class Patient(HttpToolsProtocol):
        """HTTP with an end to patience."""

        # The parent is untyped inside; these are its own attributes.
        _late: Any = None
        scope: Any

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > limits.connections:
                transport.abort()
            else:
                self._late = self.loop.call_later(limits.header_s, self._too_late)

        def data_received(self, data: bytes) -> None:
            if self._late is None and (self.cycle is None or self.cycle.response_complete):
                self._late = self.loop.call_later(limits.header_s, self._too_late)
            super().data_received(data)

        def on_headers_complete(self) -> None:
            self._punctual()
            self.scope[ARRIVED_S] = time.monotonic()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._punctual()
            super().connection_lost(exc)

        def _punctual(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

        def _too_late(self) -> None:
            self._late = None
            if not self.transport.is_closing():
                self.transport.abort()

    return Patient
