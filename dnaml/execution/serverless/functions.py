"""What a user states of a function: where it answers, what it holds, and how patiently it is called."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any
from urllib.parse import urlsplit

from dnaml.core.errors import InputError

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying:
    """How a call is repeated that was throttled, timed out or met an error of its server.

    Before call number k + 1 it waits between 0 and `base_s` 2^k seconds (at most `most_wait_s`) on top of what the
    server asks for with Retry-After; a server that asks for more than `most_wait_s` is given up at once.
    """

    most: int = 4
    base_s: float = 0.2
    most_wait_s: float = 30.0

    def __post_init__(self) -> None:
        """Raise InputError on a number that makes no sense."""
        if self.most < 0:
            raise InputError(f"retrying: most must not be negative, got {self.most}")
        for name in ("base_s", "most_wait_s"):
            if not (isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputError(f"retrying: {name} must be positive, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFunction:
    """A function behind a URL that takes a POST with JSON and answers with JSON, as Knative or OpenFaaS serve it.

    `timeout_s` is for one call, `most_runtime_s` what the provider lets a function run; larger requests and answers
    than stated are refused. Only this URL is ever called: a redirect is an error. `idle_s` is how long the provider
    keeps an instance warm, as far as it says.
    """

    url: str
    timeout_s: float = 60.0
    most_runtime_s: float | None = None
    most_request_bytes: int = 6 * MIB
    most_answer_bytes: int = 6 * MIB
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    retrying: Retrying = Retrying()
    idle_s: float = 300.0

    def __post_init__(self) -> None:
        """Raise InputError on a URL or limit that cannot be used."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"function: url must be http://HOST/... or https://HOST/..., got {self.url!r}")
        if parts.username is not None or parts.fragment:
            raise InputError("function: url must hold neither a password nor a fragment; use headers")
        try:
            _ = parts.port
        except ValueError as error:
            raise InputError(f"function: {self.url!r}: {error}") from error
        for name in ("timeout_s", "most_runtime_s", "most_request_bytes", "most_answer_bytes", "idle_s"):
            value = getattr(self, name)
            if value is not None and not (isfinite(value) and value > 0):
                raise InputError(f"function {self.url}: {name} must be positive, got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LithopsFunction:
    """Functions of a provider that Lithops is configured for; `config` None reads Lithops' own file.

    `timeout_s` is for one call, `most_runtime_s` what the provider lets a function run. Lithops repeats nothing
    itself, so `retrying` holds here too.
    """

    config: Mapping[str, Any] | None = None
    timeout_s: float = 600.0
    most_runtime_s: float | None = None
    most_request_bytes: int = 64 * MIB
    retrying: Retrying = Retrying(most=1)
    idle_s: float = 300.0
