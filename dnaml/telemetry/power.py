"""Power of a core: no sensor tells it, so a model is stated, a core's share of the thermal design power, and marked."""

TDP_PER_CORE_W = 6.0
"""Thermal design power by core where no specification is known: server parts of 2019-2024 lie at 3-12 W."""


def core_power() -> dict[str, float]:
    """Return `power_w` of work that keeps one core busy, and `power_is_estimated` (1: it was not measured)."""
    return {"power_w": TDP_PER_CORE_W, "power_is_estimated": 1.0}
