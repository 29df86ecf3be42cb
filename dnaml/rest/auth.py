"""Who asks: bearer tokens with scopes, a tenant and an end, of which only digests are kept.

A token is `dnaml_ID_SECRET`; the secret has 256 random bits, so one SHA-256 of it cannot be guessed back. The file is
read again when it changes: a revoked token ends at once.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Self

from dnaml.core.errors import CorruptError, InputError, NotFoundError, StateFolderError

COOKIE = "dnaml_token"
PREFIX = "dnaml_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_NOBODYS = hashlib.sha256(b"nobody's token").hexdigest()


class Scope(Enum):
    """Is what a token allows; each includes those before it."""

    READ = "read"  # look at what one's own tenant runs, ask for predictions
    SUBMIT = "submit"  # run and cancel work
    ADMIN = "admin"  # change the pool and the models


_RANK = {scope: rank for rank, scope in enumerate(Scope)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The one who asks, as far as the service needs to know."""

    tenant: str
    scope: Scope
    name: str = ""

    def may(self, wanted: Scope) -> bool:
        """Say whether the caller's scope includes another."""
        return _RANK[self.scope] >= _RANK[wanted]


LOCAL = Caller(tenant="local", scope=Scope.ADMIN, name="this machine")
"""who asks over loopback where no token is required"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is kept of a token: everything but its secret."""

    id: str
    name: str
    tenant: str
    scope: Scope
    digest: str
    created_at_s: float
    expires_at_s: float | None = None

    def is_over(self, now_s: float) -> bool:
        """Say whether its time is over."""
        return self.expires_at_s is not None and now_s >= self.expires_at_s

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Self:
        """Return a token from the file's JSON object."""
        return cls(**{**values, "scope": Scope(values["scope"])})  # type: ignore[arg-type]  # the file is our own


class Tokens:
    """The tokens of one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int, int] | None = None
        self._known: dict[str, Token] = {}

    def all(self) -> tuple[Token, ...]:
        """Return what is kept of each token, oldest first; raise CorruptError for a file that is not ours."""
        self._look()
        return tuple(self._known.values())

    def create(self, name: str, *, tenant: str, scope: Scope, lasts_s: float | None = None) -> str:
        """Make a token and return it: the only time that it is told."""
        for what, text in (("name", name), ("tenant", tenant)):
            if not _NAME.fullmatch(text):
                raise InputError(f"token: {what} must be up to 64 letters, digits and ._@-, got {text!r}")
        if lasts_s is not None and not lasts_s > 0:
            raise InputError(f"token: must last longer than zero seconds, got {lasts_s}")
        known = dict(self._read())
        secret, token_id, now_s = secrets.token_hex(32), secrets.token_hex(4), time.time()
        known[token_id] = Token(
            id=token_id,
            name=name,
            tenant=tenant,
            scope=scope,
            digest=hashlib.sha256(secret.encode()).hexdigest(),
            created_at_s=now_s,
            expires_at_s=None if lasts_s is None else now_s + lasts_s,
        )
        self._write(known)
        return f"{PREFIX}{token_id}_{secret}"

    def revoke(self, wanted: str) -> Token:
        """Forget a token by its id or name; raise NotFoundError when there is none, InputError for several."""
        known = dict(self._read())
        found = [one for one in known.values() if wanted in (one.id, one.name)]
        if not found:
            raise NotFoundError(f"no token {wanted!r} in {self.path}")
        if len(found) > 1:
            raise InputError(f"token {wanted!r}: several have this name, give an id: {', '.join(t.id for t in found)}")
        del known[found[0].id]
        self._write(known)
        return found[0]

    def caller(self, token: str, now_s: float) -> Caller | None:
        """Return who a token speaks for; None for one that is wrong, over or unknown, in equal time."""
        self._look()
        token_id, _, secret = token.removeprefix(PREFIX).partition("_")
        known = self._known.get(token_id) if token.startswith(PREFIX) else None
        digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
        same = hmac.compare_digest(digest, known.digest if known is not None else _NOBODYS)
        if known is None or not same or known.is_over(now_s):
            return None
        return Caller(tenant=known.tenant, scope=known.scope, name=known.name)

    def _look(self) -> None:
        """Read the file again when it changed."""
        try:
            status = self.path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        except FileNotFoundError:
            stamp = (0, 0, 0)
        if stamp != self._stamp:
            self._known, self._stamp = self._read(), stamp

    def _read(self) -> dict[str, Token]:
        try:
            found = [Token.of(values) for values in json.loads(self.path.read_bytes())]
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise CorruptError(f"{self.path}: is not a file of tokens: {error}") from error
        return {token.id: token for token in found}

    def _write(self, known: Mapping[str, Token]) -> None:
        rows = [{**asdict(token), "scope": token.scope.value} for token in known.values()]
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                json.dump(rows, file, indent=1)
            part.replace(self.path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise StateFolderError(f"{self.path}: cannot be written: {error.strerror or error}") from error
