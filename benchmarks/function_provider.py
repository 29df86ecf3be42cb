"""A provider of functions on this machine: a real HTTP server with cold starts, throttling, errors and duplicates.

`faults` is a list of what happens to the next calls, in order: "ok", "429", "500", "garbage", "hang", "drop", "large",
"stale", "redirect". Instances stay warm for `warm_s`; each serves one call at a time.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dnaml.execution.serverless import Handler


@dataclass
class Provider:
    """What the server does, and what it saw."""

    handler: Handler
    cold_s: float = 0.0
    warm_s: float = 60.0
    retry_after: str = "0"
    hang_s: float = 1.0
    faults: list[str] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    idle_since_s: list[float] = field(default_factory=list)
    used_s: list[float] = field(default_factory=list)
    busy: int = 0
    most_busy: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def fault(self, request: dict[str, Any]) -> str:
        """Note a request and return what happens to it."""
        with self.lock:
            self.requests.append(request)
            return self.faults.pop(0) if self.faults else "ok"

    def cool(self) -> None:
        """Take away every instance that idles."""
        with self.lock:
            self.idle_since_s.clear()

    def serve(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run a request on an instance, which starts cold where none is warm and free."""
        with self.lock:
            now_s = time.monotonic()
            self.idle_since_s = [since_s for since_s in self.idle_since_s if now_s - since_s <= self.warm_s]
            cold = not self.idle_since_s
            if not cold:
                self.idle_since_s.pop()
            self.busy += 1
            self.most_busy = max(self.busy, self.most_busy)
        begun_s = time.monotonic()
        if cold:
            time.sleep(self.cold_s)
        try:
            answer = self.handler(request)
        finally:
            with self.lock:
                self.busy -= 1
                self.idle_since_s.append(time.monotonic())
                self.used_s.append(time.monotonic() - begun_s)
        answer.setdefault("metered", {})["cold_start"] = cold
        return answer


def _handler_of(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fault = provider.fault(request)
            if fault == "drop":
                self.close_connection = True
                self.connection.close()
            elif fault in ("429", "500", "413"):
                self.reply(int(fault), b"", {"Retry-After": provider.retry_after} if fault == "429" else {})
            elif fault == "redirect":
                self.reply(302, b"", {"Location": "http://127.0.0.1:1/"})
            elif fault == "garbage":
                self.reply(200, b"\x00<html>")
            elif fault == "large":
                self.reply(200, json.dumps({"result": "x" * 100_000}).encode())
            else:
                answer = provider.serve(request)
                if fault == "hang":
                    time.sleep(provider.hang_s)
                if fault == "stale":
                    answer["epoch"] = request["epoch"] - 1
                self.reply(200, json.dumps(answer).encode())

        def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            try:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                pass  # nobody waits any more

        def log_message(self, *words: Any) -> None:
            """Say nothing: callers look at what the provider saw."""

    return Answering


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are expected."""


@contextmanager
def provided(handler: Handler, **settings: Any) -> Iterator[Provider]:
    """Serve a handler at `url` until the block ends."""
    provider = Provider(handler, **settings)
    server = _Server(("127.0.0.1", 0), _handler_of(provider))
    provider.url = f"http://127.0.0.1:{server.server_address[1]}/run"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
