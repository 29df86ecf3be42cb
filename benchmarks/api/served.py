"""U2 and U3 over a real socket: the service in a process of its own, its CPU time read from /proc."""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.api.plans import bodies
from benchmarks.report import Op, Row

ROOT = Path(__file__).resolve().parents[2]
SUBMITTED = json.dumps({"computation": "benchmarks.api.calls:double", "args": [1]}).encode()


class Served:
    """`dnaml serve` on a free port and a folder that is removed at the end."""

    def __init__(self, *words: str) -> None:
        self._words = words

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        self.began_s = time.monotonic()
        self.folder = tempfile.TemporaryDirectory()
        words = ["--port", "0", "--json", "--quiet", "--state", str(Path(self.folder.name) / "state")]
        words += ["--root", str(ROOT), "--allow", "benchmarks.api.calls", *self._words]
        command = [sys.executable, "-m", "dnaml", "serve", *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT)
        assert self.process.stdout is not None
        self.port = int(json.loads(self.process.stdout.readline())["url"].rpartition(":")[2])
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End it."""
        self.connection.close()
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def post(self, path: str, body: bytes) -> int:
        """Send one request over the connection that stays open; return the status."""
        self.connection.request("POST", f"/api/v1{path}", body)
        answer = self.connection.getresponse()
        answer.read()
        return answer.status

    def resident_bytes(self) -> int:
        """Return the memory that its process has at present."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cpu_s(self) -> float:
        """Return the CPU seconds that its process has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rows(quick: bool) -> list[Row]:
    """Return U3's row of the start, and a submission's and a plan's cost with the socket."""
    starts, count = (2, 200) if quick else (7, 2_000)
    began = []
    for _ in range(starts):
        with Served() as served:
            assert served.post("/jobs", SUBMITTED) == 202
            began.append(time.monotonic() - served.began_s)
    with Served() as served:
        asked = bodies(count, 1)
        assert served.post("/plans", asked[0]) == 200
        before_s = served.cpu_s()
        for body in asked:
            served.post("/plans", body)
        plan_us = (served.cpu_s() - before_s) / count * 1e6
        took = []
        for _ in range(count // 2):
            sent_s = time.monotonic()
            assert served.post("/jobs", SUBMITTED) == 202
            took.append(time.monotonic() - sent_s)
    took.sort()
    slowest = took[int(0.99 * len(took))]
    told = "one client, one after the other, wall; jobs run beside it"
    return [
        Row(
            id="U3",
            metric="cold start to first accepted job, slowest",
            value=max(began),
            unit="s",
            bar=5.0,
            note=f"of {starts}, wall",
        ),
        Row(
            id="U2.socket", metric="plan over this machine, with uvicorn and the socket, CPU", value=plan_us, unit="us"
        ),
        Row(id="U1.alone", metric="durable submission p99, one client", value=slowest * 1e3, unit="ms", note=told),
        Row(id="U1.rate", metric="durable submissions", value=len(took) / sum(took), unit="1/s", op=Op.AT_LEAST),
    ]
