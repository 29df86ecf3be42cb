"""What the faults of spot machines share: a metadata server like a cloud's, and work that writes down each step."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dnaml

STEP_S = 0.05


def written_steps(path: str, steps: int, *, context: dnaml.Context) -> int:
    """Count up, writing down each step and who takes it before it is taken, and saving after it; return the count."""
    done = int(context.restore(0))
    while done < steps and not context.should_stop():
        with Path(path).open("a") as lines:
            lines.write(f"{os.getpid()} {done}\n")
        time.sleep(STEP_S)
        done += 1
        context.save(done / steps, done)
    return done


def steps_begun(path: Path) -> dict[int, list[int]]:
    """Return the steps that each process began, in order; the processes in the order in which they began."""
    begun: dict[int, list[int]] = {}
    lines = path.read_text().splitlines() if path.exists() else []
    for line in lines:
        pid, _, step = line.partition(" ")
        if step:
            begun.setdefault(int(pid), []).append(int(step))
    return begun


@dataclass
class Metadata:
    """A metadata server: answers 404 until `told` has a text."""

    url: str = ""
    told: str | None = None
    asked: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def metadata_server(path: str) -> Iterator[Metadata]:
    """Serve a metadata address below loopback until the block ends."""
    metadata = Metadata()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with metadata.lock:
                metadata.asked += 1
                text = metadata.told if self.path == path else None
            body = (text or "").encode()
            self.send_response(404 if text is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    metadata.url = f"http://127.0.0.1:{server.server_address[1]}{path}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield metadata
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
