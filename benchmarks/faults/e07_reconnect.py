"""E7: the connections of a thousand nodes end at one instant and all call again at once, while clients go on asking.

The agents' side of all nodes is one process, the service another, with as many open files as systems usually allow.
"""

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faults.outcome import Bar, Outcome, Tier, percentile

ID = "E7"
RUNS = {Tier.QUICK: 1, Tier.SOAK: 5}
NODES = 1_000
BAR_BACK_S, BAR_P99_S = 30.0, 1.0
_WATCHED_S = 3.0  # on, after all are back
_PAUSE_S = 0.02
_PLAN = {"computations": [{"id": "c", "kernel": "k", "demand": {"fp64_flop": 1e9}}], "k": 3}
_KEPT = {"id": "c", "kernel": "k"}
_ASKED = (
    ("GET", "/resources?limit=100", None),
    ("GET", "/jobs?limit=50", None),
    ("GET", "/resources/h0", None),
    ("POST", "/plans", json.dumps(_PLAN)),
    ("POST", "/computations", json.dumps(_KEPT)),  # written before it is answered
)


def measure(runs: int, seed: int, folder: Path, nodes: int = NODES) -> Outcome:
    """Break every connection so many times and return when all were back, and how long requests took meanwhile."""
    back_s: list[float] = []
    with crowd(folder, nodes) as case, Asking(case.url_port) as asking:
        for _ in range(runs):
            back_s.append(max(case.broken()))
            time.sleep(_WATCHED_S)
        gone = nodes - case.available()
    taken_s, refused = tuple(asking.taken_s), asking.refused
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what=f"the connections of {nodes:,} nodes end at once",
        recover_s=tuple(back_s),
        lost=gone,
        figures=(
            Bar(name="all_back", value=max(back_s), unit="s", bar=BAR_BACK_S),
            Bar(name="request_p99", value=percentile(taken_s, 0.99), unit="s", bar=BAR_P99_S),
            Bar(name="requests_refused", value=float(refused), unit="", bar=0.0),
        ),
        extra={"requests": len(taken_s)},
    )


@dataclass(slots=True)
class Crowd:
    """A service and its hollow nodes, each in a process of its own."""

    agents: "subprocess.Popen[str]"
    url_port: int

    def broken(self) -> list[float]:
        """Break every connection; return after how many seconds each node was taken on again."""
        assert self.agents.stdin is not None
        self.agents.stdin.write("break\n")
        self.agents.stdin.flush()
        return self.told()

    def told(self) -> list[float]:
        """Wait until every node is taken on; return after how many seconds each was."""
        assert self.agents.stdout is not None
        found: list[float] = json.loads(self.agents.stdout.readline())
        return found

    def available(self) -> int:
        """Return how many nodes take work, as the service says."""
        line = http.client.HTTPConnection("127.0.0.1", self.url_port, timeout=60)
        count, cursor = 0, ""
        while True:
            line.request("GET", f"/api/v1/resources?limit=500{cursor}")
            page = json.loads(line.getresponse().read())
            count += len([one for one in page["items"] if one["available"]])
            if page["next"] is None:
                line.close()
                return count
            cursor = f"&cursor={page['next']}"


@contextmanager
def crowd(folder: Path, nodes: int) -> Iterator[Crowd]:
    """Start the service and the nodes, and wait until it has taken them all on."""
    with ExitStack() as stack:
        service = stack.enter_context(_process("benchmarks.faults.hollow_service", str(folder), str(nodes)))
        assert service.stdout is not None
        called = json.loads(service.stdout.readline())
        agents = stack.enter_context(_process("benchmarks.faults.hollow_agents"))
        assert agents.stdin is not None
        agents.stdin.write(json.dumps({**called, "count": nodes}) + "\n")
        agents.stdin.flush()
        url_port = int(json.loads(service.stdout.readline())["url"].rpartition(":")[2])
        case = Crowd(agents=agents, url_port=url_port)
        case.told()
        yield case


@contextmanager
def _process(module: str, *words: str) -> "Iterator[subprocess.Popen[str]]":
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", module, *words]
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for end in (process.stdin, process.stdout):
            if end is not None:
                end.close()


@dataclass(slots=True)
class Asking:
    """A client that goes on asking from a thread; how long each answer took, and how many were no success."""

    port: int
    taken_s: list[float] = field(default_factory=list)
    refused: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> "Asking":
        """Begin."""
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End with the answer that is on its way."""
        self._stop.set()
        assert self._thread is not None
        self._thread.join()

    def _ask(self) -> None:
        line, number = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60), 0
        while not self._stop.wait(_PAUSE_S):
            method, path, body = _ASKED[number % len(_ASKED)]
            number += 1
            began_s = time.perf_counter()
            line.request(method, f"/api/v1{path}", body)
            answer = line.getresponse()
            answer.read()
            self.taken_s.append(time.perf_counter() - began_s)
            self.refused += answer.status >= 400
        line.close()
