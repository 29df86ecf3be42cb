"""The real server on a free port: killed and taken up again, ended in order, patient only so long."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from dnaml.rest.app import create_app
from dnaml.rest.patience import protocol_for
from dnaml.rest.server import listen
from dnaml.rest.settings import Limits, ServiceSettings

ROOT = Path(__file__).parents[2]


class Server:
    """`dnaml serve` in a process of its own, on a port that stays the same when it is started again."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder, self.words, self.port = folder, words, 0
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "dnaml", "serve", "--port", str(self.port), "--json", "--quiet"]
        command += ["--state", str(self.folder / "state"), "--root", str(ROOT), *self.words]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=ROOT)
        assert self.process.stdout is not None
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.url: str = told["url"]
        self.port = int(self.url.rpartition(":")[2])

    def running(self, job_id: str) -> None:
        while self.ask("GET", f"/jobs/{job_id}?wait_s=0.1").json()["state"] != "RUNNING":
            pass

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(20)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return httpx.request(method, f"{self.url}/api/v1{path}", timeout=70, **more)

    def submit(self, function: str, *args: Any, key: str | None = None) -> str:
        body = {"computation": f"tests.rest.work:{function}", "args": list(args)}
        answer = self.ask("POST", "/jobs", json=body, headers={} if key is None else {"Idempotency-Key": key})
        assert answer.status_code == 202, answer.text
        found: str = answer.json()["id"]
        return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path, "--allow", "tests.rest.work", "--cores", "2")
    yield made
    made.process.kill()
    made.process.wait(20)


@pytest.mark.timeout(120)
def test_a_killed_service_loses_no_job_and_doubles_none(server: Server, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    done = server.submit("double", 1)
    assert server.ask("GET", f"/jobs/{done}?wait_s=60").json()["result"] == 2
    waiting = server.submit("wait_for", str(gate), key="w")
    ids = [server.submit("double", n, key=f"k{n}") for n in range(20)]
    server.kill()
    server.start()
    assert [server.submit("double", n, key=f"k{n}") for n in range(20)] == ids
    assert server.submit("wait_for", str(gate), key="w") == waiting
    gate.touch()
    results = [server.ask("GET", f"/jobs/{one}?wait_s=60").json() for one in ids]
    assert [one["result"] for one in results] == [2 * n for n in range(20)]
    assert server.ask("GET", f"/jobs/{waiting}?wait_s=60").json()["result"] == "there"
    assert len(server.ask("GET", "/jobs?limit=500").json()["items"]) == 22


@pytest.mark.timeout(120)
def test_sigterm_ends_the_service_in_order_and_its_streams_with_it(server: Server) -> None:
    page = httpx.get(f"{server.url}/", follow_redirects=True)  # on loopback nobody is asked for a token
    assert (page.status_code, page.url.path, "Pool · dnaml" in page.text) == (200, "/ui/", True)
    job_id = server.submit("wait_for", "/nonexistent/never")
    with httpx.stream("GET", f"{server.url}/api/v1/jobs/{job_id}/events", timeout=30) as stream:
        lines = stream.iter_lines()
        while "started" not in next(lines):
            pass
        server.process.send_signal(signal.SIGTERM)
        rest = list(lines)
    assert "event: end" in rest
    assert server.process.wait(20) == 0
    server.start()
    assert server.ask("GET", f"/jobs/{job_id}").json()["state"] in ("PENDING", "RECOVERING", "RUNNING")
    assert server.ask("DELETE", f"/jobs/{job_id}").status_code == 202


@pytest.mark.timeout(120)
def test_sigterm_seals_what_runs_and_the_next_service_goes_on_from_there(server: Server) -> None:
    body = {"computation": "tests.rest.work:count", "args": [100], "resilience": {"checkpoint": {"interval": "1h"}}}
    job_id = server.ask("POST", "/jobs", json=body).json()["id"]
    server.running(job_id)
    began_s = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    assert time.monotonic() - began_s <= 10  # five on an idle machine
    server.start()
    events = server.ask("GET", f"/jobs/{job_id}/events").text
    assert "event: checkpoint" in events
    assert server.ask("GET", f"/jobs/{job_id}?wait_s=60").json()["result"] == 100


@pytest.mark.timeout(120)
def test_a_standby_says_that_it_is_starting_and_takes_over_with_every_job(server: Server, tmp_path: Path) -> None:
    first = server.submit("double", 3, key="a")
    other = Server(tmp_path, "--allow", "tests.rest.work", "--cores", "2", "--standby")
    try:
        waiting = other.ask("GET", f"/jobs/{first}")
        assert (waiting.status_code, waiting.headers["Retry-After"]) == (503, "1")
        assert httpx.get(f"{other.url}/readyz").status_code == 503
        page = httpx.get(f"{other.url}/ui/")
        assert (page.status_code, "Standing by" in page.text) == (503, True)
        server.kill()
        while httpx.get(f"{other.url}/readyz").status_code != 200:
            time.sleep(0.05)
        assert other.submit("double", 3, key="a") == first
        assert other.ask("GET", f"/jobs/{first}?wait_s=60").json()["result"] == 6
        third = Server(tmp_path, "--allow", "tests.rest.work", "--standby")
        third.process.send_signal(signal.SIGTERM)
        assert third.process.wait(20) == 0
    finally:
        other.kill()


@pytest.mark.timeout(120)
def test_a_large_body_and_an_unfinished_head_cost_next_to_nothing(server: Server) -> None:
    before = _resident_bytes(server.process.pid)
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(
            b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 67108864\r\n\r\n" + b" " * 65536
        )
        assert b" 413 " in sock.recv(4096)
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    for sock in idle:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHo")
    assert httpx.get(f"{server.url}/healthz").status_code == 200
    assert _resident_bytes(server.process.pid) - before < 32 << 20
    for sock in idle:
        sock.close()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: b\r\n" * 200_000, 431),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"b" * (1 << 21), 431),
    ],
    ids=["tls", "version", "length", "many headers", "long header"],
)
def test_what_is_no_request_is_a_problem_and_a_closed_connection(unstarted: int, sent: bytes, status: int) -> None:
    with socket.create_connection(("127.0.0.1", unstarted), timeout=30) as sock:
        with contextlib.suppress(OSError):  # it need not read to the end
            sock.sendall(sent)
        told = b""
        with contextlib.suppress(OSError):
            while more := sock.recv(4096):
                told += more
    assert told.startswith(b"HTTP/1.1 %d " % status) or (status == 431 and not told), told[:200]
    if told:
        assert b"application/problem+json" in told
        assert json.loads(told.partition(b"\r\n\r\n")[2])["status"] == status


@pytest.fixture(scope="module")
def unstarted() -> Iterator[int]:
    """The port of an application on the service's own protocol, which stands by without a service."""
    settings = ServiceSettings(port=0)
    listening = listen(settings)
    config = uvicorn.Config(
        create_app(settings, None), http=protocol_for(Limits()), lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(20)


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_beyond_loopback_a_token_and_tls_or_a_word_for_it_are_needed(tmp_path: Path) -> None:
    serve = [sys.executable, "-m", "dnaml", "serve", "--host", "0.0.0.0", "--port", "0", "--state", str(tmp_path)]
    refused = subprocess.run(serve, capture_output=True, text=True, check=False)
    assert (refused.returncode, "dnaml token create" in refused.stderr) == (2, True)
    create = [
        sys.executable,
        "-m",
        "dnaml",
        "token",
        "create",
        "ci",
        "--tenant",
        "a",
        "--json",
        "--state",
        str(tmp_path),
    ]
    made = subprocess.run(create, capture_output=True, text=True, check=True)
    token = json.loads(made.stdout)["token"]
    refused = subprocess.run(serve, capture_output=True, text=True, check=False)
    assert (refused.returncode, "--insecure" in refused.stderr) == (2, True)
    listed = subprocess.run(
        [*create[:4], "ls", "--json", "--state", str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert token.rpartition("_")[2] not in listed.stdout + (tmp_path / "tokens.json").read_text()
    assert os.stat(tmp_path / "tokens.json").st_mode & 0o077 == 0


@pytest.mark.serial
@pytest.mark.timeout(120)
def test_the_first_job_is_accepted_within_seconds_of_a_cold_start(tmp_path: Path) -> None:
    began_s = time.monotonic()
    made = Server(tmp_path, "--allow", "tests.rest.work")
    try:
        made.submit("double", 1)
        assert time.monotonic() - began_s <= 15  # five on an idle machine; see the benchmark
    finally:
        made.kill()
