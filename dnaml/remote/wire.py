"""Asks a service over HTTP: retries with jittered back-off, Retry-After honoured, problems as dnaml's errors."""

import random
import threading
import time
from collections.abc import Mapping
from typing import Any

from dnaml.core.errors import DnamlError, InputError, NotFoundError, RepeatedKeyError

_FIRST_WAIT_S, _MOST_WAIT_S = 0.1, 5.0
_AGAIN = (429, 502, 503, 504)


class NotReachable(DnamlError, ConnectionError):
    """Says that a service did not answer until the time was up."""


class Wire:
    """Asks a service under its prefix; safe to use from several threads."""

    def __init__(self, url: str, token: str | None, *, timeout_s: float) -> None:
        import httpx

        if not url.startswith(("http://", "https://")):
            raise InputError(f"url: must begin with http:// or https://, got {url!r}")
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.url, self._timeout_s = url.rstrip("/"), timeout_s
        self.closed = threading.Event()
        self._http = httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=30.0)

    def ask(
        self, method: str, path: str, *, body: object = None, key: str | None = None, within_s: float | None = None
    ) -> Any:  # the JSON of the answer
        """Return the JSON of an answer, asking again while the service is away, busy or starting."""
        import httpx

        until_s = time.monotonic() + (self._timeout_s if within_s is None else within_s)
        headers = {} if key is None else {"Idempotency-Key": key}
        wait_s = _FIRST_WAIT_S
        while True:
            asked_s = 0.0
            try:
                answer = self._http.request(method, path, json=body, headers=headers)
            except httpx.TransportError as error:
                told = f"{type(error).__name__}: {error}"
            else:
                if answer.status_code not in _AGAIN:
                    return _read(answer.status_code, answer)
                told = f"status {answer.status_code}"
                asked_s = _seconds(answer.headers)
            pause_s = max(asked_s, wait_s * random.uniform(0.5, 1.0))
            if time.monotonic() + pause_s > until_s or self.closed.wait(pause_s):
                raise NotReachable(f"{self.url}: does not answer ({told})")
            wait_s = min(2 * wait_s, _MOST_WAIT_S)

    def close(self) -> None:
        """End the connection and every pause."""
        self.closed.set()
        self._http.close()


def _seconds(headers: Mapping[str, str]) -> float:
    text = headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _read(status: int, answer: Any) -> Any:  # an httpx.Response, and its JSON
    if status < 400:
        return answer.json()
    try:
        problem = answer.json()
        detail = str(problem.get("detail") or problem.get("title"))
        repeated = problem.get("type", "").endswith(":idempotency-key")
    except (ValueError, AttributeError):
        detail, repeated = f"status {status}", False
    if repeated:
        raise RepeatedKeyError(detail)
    if status == 404:
        raise NotFoundError(detail)
    if status < 500:
        raise InputError(detail)
    raise DnamlError(detail)
