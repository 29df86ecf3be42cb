"""What a provider of machines is: it sells, takes back, and says what it bills for.

A provider is thin: it translates an order into its own calls. Retries, time limits, other providers and the cap on
spending are the carrier's business (`carrier.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from dnaml.core.errors import DnamlError
from dnaml.core.resource import Resource


class ProviderError(DnamlError):
    """Says that a provider did not do what it was asked to; it may do so when asked again."""


class QuotaRefused(ProviderError):
    """Says that a provider sells no more of this kind to us: asking again at once does not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One machine that is wanted; a provider that sees the same `token` again sells nothing twice."""

    token: str
    template: str
    until_s: float


class Provider(Protocol):
    """Sells machines. Calls may block or raise ProviderError; several may be made at once, each from its own thread."""

    @property
    def name(self) -> str:
        """Name the provider, for reasons and logs."""
        ...

    def price_usd_per_h(self, template: str) -> float | None:
        """Return what a machine of a template costs per hour; None if this provider has no such template."""
        ...

    def acquire(self, order: Order) -> Resource:
        """Return a machine that was started for an order; raise QuotaRefused or ProviderError."""
        ...

    def release(self, resource_id: str) -> None:
        """Give a machine back; one that is not there (any more) is not an error."""
        ...

    def alive(self, resource_id: str) -> bool:
        """Say whether a machine answers."""
        ...

    def billed(self) -> Mapping[str, str]:
        """Return the machines that are paid for now, id -> template."""
        ...
