"""Which prices are known, provider by provider, and from when."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnaml.datasets.price_rows import Price


def providers(catalog: "Iterable[Price]") -> list[dict[str, Any]]:  # JSON values
    """Return one row a provider: how many prices of how many regions, and their dates."""
    own: dict[str, list[Price]] = {}
    for price in catalog:
        own.setdefault(price.provider, []).append(price)
    return [
        {
            "provider": provider,
            "prices": len(prices),
            "regions": len({price.region for price in prices}),
            "dates": sorted({price.date_text for price in prices}),
        }
        for provider, prices in sorted(own.items())
    ]
