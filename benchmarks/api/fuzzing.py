"""Mutated requests to an application in this process, and whether each answer is one that its document names."""

import copy
import json
import random
from collections import Counter
from typing import Any

from benchmarks.api.direct import ask

JSON, PROBLEM = "application/json", "application/problem+json"
_ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1e308,
    "",
    "\x00",
    "../../etc/passwd",
    "\u202e",
    "a" * 5_000,
    [],
    {},
    [[[[[]]]]],
    {"a": {"b": {"c": 1}}},
    "'; DROP TABLE events; --",
    "$(touch canary)",
    "benchmarks.api.calls:double",
    "os:system",
    1 << 70,
)
_RAW = (
    b"",
    b"{",
    b"NaN",
    b'{"computation": "benchmarks.api.calls:double", "args": [NaN]}',
    b'{"name": "\\ud800"}',
    b"[" * 100_000,
    b'{"args": [' + b"7" * 6_000 + b"]}",
    b"\xff\xfe\x00",
    b'{"a": 1, "a": 2}',
    b"1e999",
    b"\x00" * 100,
)
_SEEDS: dict[str, list[Any]] = {
    "/api/v1/jobs": [
        {"computation": "benchmarks.api.calls:double", "args": [1], "constraints": {"deadline": "1h"}},
        {"run": ["true"], "envs": {"A": "b"}, "resources": {"cpus": "1+", "memory": "1GB"}},
    ],
    "/api/v1/jobs/batch": [{"jobs": [{"computation": "benchmarks.api.calls:double", "args": [1]}]}],
    "/api/v1/resources": [{"id": "fuzzed", "site": "cloud", "price": 1.0, "spec": {"cores": 4}}],
    "/api/v1/models/train": [{"table": "nowhere.csv", "name": "model", "seed": 1}],
}
_ASK = {
    "computations": [{"id": "c", "kernel": "k", "size": {"n": 1.0}, "demand": {"fp64_flop": 1e9}}],
    "objective": "balanced",
    "k": 3,
}
_LOCAL = ("here", "fuzzed")  # what may be of this machine
_PROBE, _TRAIN = "/probe", "/models/train"  # asked so that neither measures for seconds nor starts a process


class Fuzz:
    """Makes requests from a seed, sends them, and keeps what should not be."""

    def __init__(self, app: Any, *, seed: int) -> None:
        self._app, self._random = app, random.Random(seed)
        self._operations = _operations(app.openapi())
        self.sent = 0
        self.statuses: Counter[int] = Counter()
        self.undocumented: list[tuple[str, str, int, str]] = []
        self._failures_before = app.state.gate.failures if hasattr(app.state, "gate") else 0

    @property
    def failures(self) -> int:
        """Return how many exceptions reached the last handler."""
        found: int = self._app.state.gate.failures - self._failures_before
        return found

    async def run(self, count: int) -> None:
        """Send requests one after the other."""
        for _ in range(count):
            await self._send(self.request())

    def request(self) -> dict[str, Any]:
        """Return the next request: an operation of the document with a value, a header or its body mutated."""
        pick = self._random
        method, path, documented = pick.choice(self._operations)
        url = path
        while "{" in url:
            start, end = url.index("{"), url.index("}")
            named = self._text()
            url = url[:start] + ("none" if named in _LOCAL and path.endswith(_PROBE) else named) + url[end + 1 :]
        headers = {"Content-Type": JSON}
        if pick.random() < 0.9:
            headers["Last-Event-ID"] = pick.choice(("0", "-1", "x", "9" * 30))
        if pick.random() < 0.2:
            name = pick.choice(
                ("Idempotency-Key", "Origin", "Content-Encoding", "Cookie", "Authorization", "Accept", "Host")
            )
            value = pick.choice(("", "a", "http://evil.example", "gzip", "dnaml_token=x", "Bearer x", "k" * 300))
            headers[name] = value
        params = {"once": "true", "limit": pick.choice(("1", "0", "-1", "x", "500", "9" * 5_000))}
        if pick.random() < 0.3:
            params[pick.choice(("cursor", "state", "offset", "spot", "provider", "cpus"))] = self._text()
        return {
            "method": method if pick.random() < 0.97 else pick.choice(("PUT", "PATCH", "OPTIONS", "TRACE", "HEAD")),
            "path": path,
            "url": url,
            "headers": headers,
            "params": params,
            "content": self._body(path) if method in ("POST", "DELETE") else b"",
            "documented": documented,
        }

    def _text(self) -> str:
        some = (
            "none",
            "%2e%2e%2f%2e%2e",
            "a%00b",
            "%ed%a0%80",
            "x" * 300,
            "-",
            "%F0%9F%92%A9",
            "a/b/c",
            "here",
            "fuzzed",
        )
        return self._random.choice(some)

    def _body(self, path: str) -> bytes:
        if self._random.random() < 0.25:
            raw = self._random.choice(_RAW)
            return b"[]" if path.endswith(_TRAIN) and raw.strip() in (b"", b"{}") else raw
        seed = self._random.choice(_SEEDS.get(path, [_ASK]))
        value = json.loads(json.dumps(seed))
        for _ in range(self._random.randint(1, 3)):
            value = self._mutated(value)
        if path.endswith(_TRAIN) and isinstance(value, dict) and value.get("table") is None:
            value["table"] = "nowhere.csv"
        return json.dumps(value).encode()

    def _mutated(self, value: Any) -> Any:
        """Return a JSON value with one part of it changed, dropped, doubled or of another type."""
        pick = self._random
        if isinstance(value, dict) and value and pick.random() < 0.85:
            key = pick.choice(list(value))
            what = pick.random()
            if what < 0.15:
                del value[key]
            elif what < 0.25:
                value[pick.choice(("x", key + "s", "", "\x00", "name", "workdir"))] = copy.deepcopy(pick.choice(_ODD))
            else:
                value[key] = self._mutated(value[key])
            return value
        if isinstance(value, list) and value and pick.random() < 0.7:
            place = pick.randrange(len(value))
            value[place] = self._mutated(value[place])
            return value
        return copy.deepcopy(pick.choice(_ODD))

    async def _send(self, asked: dict[str, Any]) -> None:
        self.sent += 1
        answer = await ask(
            self._app,
            asked["method"],
            asked["url"],
            asked["content"],
            params=asked["params"],
            headers=asked["headers"],
        )
        self.statuses[answer.status] += 1
        kind = answer.headers.get("content-type", "").partition(";")[0]
        problem = answer.status >= 400
        known = str(answer.status) in asked["documented"] or answer.status in (404, 405, 413)
        if not known or answer.status >= 500 or (problem and kind != PROBLEM and asked["method"] != "HEAD"):
            self.undocumented.append((asked["method"], asked["url"], answer.status, answer.body[:200].decode()))


def _operations(document: dict[str, Any]) -> list[tuple[str, str, frozenset[str]]]:
    return [
        (method.upper(), path, frozenset(operation["responses"]))
        for path, operations in sorted(document["paths"].items())
        for method, operation in sorted(operations.items())
    ]
