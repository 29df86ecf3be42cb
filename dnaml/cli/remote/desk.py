"""Where verbs ask a service: the address and token of this call, a job found by its beginning, pages as one list."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dnaml.core.errors import InputError, NotFoundError
from dnaml.remote.wire import Wire

TOKEN, TOKEN_FILE = "DNAML_TOKEN", "DNAML_TOKEN_FILE"
PAGE = 500
Json = dict[str, Any]
"""a JSON object"""


class Desk:
    """A service as verbs ask it."""

    def __init__(self, url: str, token: str | None, *, timeout_s: float) -> None:
        self.wire = Wire(url, token, timeout_s=timeout_s)
        self.url, self.timeout_s = self.wire.url, timeout_s

    def get(self, path: str, *, wait_s: float = 0.0, **params: Any) -> Any:  # JSON values
        """Return what a path says."""
        given = {name: value for name, value in params.items() if value is not None}
        if wait_s:
            given["wait_s"] = wait_s
        return self.wire.ask("GET", path, params=given, wait_s=wait_s)

    def post(self, path: str, body: object, *, key: str | None = None, once: bool = False) -> Any:  # JSON values
        """Return what a path answers to a body."""
        return self.wire.ask("POST", path, body=body, key=key, once=once)

    def items(self, path: str, limit: int | None = None, **params: Any) -> Iterator[Json]:
        """Give the rows of all pages, at most `limit`."""
        cursor, left = None, limit
        while left is None or left > 0:
            page = self.get(path, limit=PAGE if left is None else min(PAGE, left), cursor=cursor, **params)
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return
            left = None if left is None else left - len(page["items"])

    def job(self, wanted: str) -> Json:
        """Return a job by its id or the beginning of one; raise NotFoundError, InputError for several."""
        if not wanted or "/" in wanted or not wanted.isprintable():
            raise InputError(f"ID: must be a job's id, got {wanted!r}")
        try:
            found: Json = self.get(f"/jobs/{wanted}")
            return found
        except NotFoundError:
            alike = [one["id"] for one in self.get("/jobs", limit=PAGE)["items"] if one["id"].startswith(wanted)]
        if not alike:
            raise NotFoundError(f"no job {wanted!r} at {self.url}")
        if len(alike) > 1:
            raise InputError(f"job {wanted!r}: several begin so, {', '.join(alike[:5])}")
        found = self.get(f"/jobs/{alike[0]}")
        return found


@contextlib.contextmanager
def desk_at(url: str, *, timeout_s: float, environ: Mapping[str, str] = os.environ) -> Iterator[Desk]:
    """Open a desk at a service, with the token of the environment."""
    desk = Desk(url, token_of(environ), timeout_s=timeout_s)
    try:
        yield desk
    finally:
        desk.wire.close()


def token_of(environ: Mapping[str, str]) -> str | None:
    """Return $DNAML_TOKEN, or what the file of $DNAML_TOKEN_FILE holds; a token is never given as an argument."""
    if token := environ.get(TOKEN, "").strip():
        return token
    path = environ.get(TOKEN_FILE, "")
    if not path:
        return None
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"${TOKEN_FILE}: {path} cannot be read: {getattr(error, 'strerror', error)}") from None
