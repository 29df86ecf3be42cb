"""What an answer of a service means: its JSON, one of dnaml's errors, or that it is worth asking again.

Nothing here touches the network; the plain and the asynchronous client share it.
"""

import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from dnaml.core.errors import DnamlError, InputError, NotFoundError, RepeatedKeyError

FIRST_WAIT_S, MOST_WAIT_S = 0.1, 5.0
AGAIN = frozenset({429, 502, 503, 504})
_MOST_SECRET = 4096


class NotReachable(DnamlError, ConnectionError):
    """Says that a service did not answer, or asked to come back later, until the time was up."""


class AccessRefused(DnamlError, PermissionError):
    """Says that a service does not accept the token, or that the token's scope is too small."""


class Conflict(InputError):
    """Says that what was asked for does not go with how things stand: the job has ended already, say."""


class Patience:
    """How long to go on asking, and how long to pause before the next time: longer each time, with jitter."""

    def __init__(self, timeout_s: float) -> None:
        self._until_s = time.monotonic() + timeout_s
        self._wait_s = FIRST_WAIT_S

    def pause_s(self, asked_s: float = 0.0) -> float | None:
        """Return the next pause, at least as long as was asked for; None when it would end after the time is up."""
        pause_s = max(asked_s, self._wait_s * random.uniform(0.5, 1.0))
        self._wait_s = min(2 * self._wait_s, MOST_WAIT_S)
        return None if time.monotonic() + pause_s > self._until_s else pause_s


def check_url(url: str) -> str:
    """Return a service's address without its last slash; raise InputError for another kind of address."""
    if not url.startswith(("http://", "https://")):
        raise InputError(f"url: must begin with http:// or https://, got {url!r}")
    return url.rstrip("/")


def headers_of(token: str | None) -> dict[str, str]:
    """Return the headers that carry a token; raise InputError, without showing it, for one that no header can carry."""
    if token is None:
        return {}
    if not (token.isascii() and token.isprintable() and 0 < len(token) <= _MOST_SECRET and " " not in token):
        raise InputError("token: must be printable ASCII without spaces")
    return {"Authorization": f"Bearer {token}"}


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Return the seconds that a Retry-After header asks for, as a number or a date; 0 without one."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return 0.0


def read(status: int, body: bytes, url: str) -> Any:  # the JSON of the answer
    """Return the JSON of an answer; raise what a problem stands for."""
    if status < 400:
        return msgspec.json.decode(body) if body else None
    kind, detail = problem(body)
    told = detail or f"status {status}"
    if kind == "idempotency-key":
        raise RepeatedKeyError(told)
    if status == 401 or (status == 403 and kind == "scope"):
        raise AccessRefused(f"{url}: {told}")
    if status == 404:
        raise NotFoundError(told)
    if status == 409:
        raise Conflict(told)
    if status < 500:
        raise InputError(told)
    raise DnamlError(f"{url}: {told}")


def problem(body: bytes) -> tuple[str, str]:
    """Return the kind and the sentence of a problem; both empty for a body that is none."""
    try:
        found = msgspec.json.decode(body)
        return str(found["type"]).rpartition(":")[2], str(found.get("detail") or found.get("title") or "")
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        return "", ""
