"""Quantities as people write them in resource files (`16GB`, `2.1 GHz`, `10 Gbit/s`), read by the ending of the key.

The unit at the end of a name says what may stand there: `memory_bytes` takes sizes, `latency_s` takes times.
"""

import math
import re
from collections.abc import Mapping

from dnaml.core.errors import InputError

_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def _scaled(unit: str, base: float, prefixes: str = "kmgtp") -> dict[str, float]:
    return {prefix + unit: base ** _POWERS[prefix] for prefix in ("", *prefixes)}


# Sizes as SkyPilot reads them: GB, G and GiB are all 2**30. Rates count in thousands, as links and disks are sold.
_SIZES = {
    spelling: factor
    for letter, power in _POWERS.items()
    for spelling, factor in (
        (f"{letter}b", 1024.0**power),
        (f"{letter}ib", 1024.0**power),
        (f"{letter}i", 1024.0**power),
        (letter, 1024.0**power),
    )
    if spelling not in ("", "i", "ib")
}
_RATES = {
    **{f"{unit}/s": factor for unit, factor in _scaled("b", 1000.0).items()},
    **{f"{letter}ib/s": 1024.0**power for letter, power in _POWERS.items() if letter},
    **{f"{unit}/s": factor / 8.0 for unit, factor in _scaled("bit", 1000.0).items()},
}
_OPERATIONS = {
    **{f"{unit}/s": factor for unit, factor in _scaled("flop", 1000.0).items()},
    **{f"{unit}/s": factor for unit, factor in _scaled("op", 1000.0).items()},
    **_scaled("flops", 1000.0),
    **_scaled("ops", 1000.0),
}
_UNITS: Mapping[str, Mapping[str, float]] = {  # by ending, the longest first
    "_flop_per_s": _OPERATIONS,
    "_op_per_s": _OPERATIONS,
    "_bytes_per_s": _RATES,
    "_usd_per_h": {"usd/h": 1.0, "usd/s": 3600.0, "$/h": 1.0, "$/s": 3600.0},
    "_per_s": {f"{unit}/s": factor for unit, factor in _scaled("", 1000.0).items()},
    "_bytes": _SIZES,
    "_hz": _scaled("hz", 1000.0),
    "_w": {"w": 1.0, "kw": 1e3},
    "_s": {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0},
}
_SHOWN = {
    "_flop_per_s": "GFLOP/s, TFLOP/s, PFLOP/s",
    "_op_per_s": "GOP/s, TOP/s, TOPS",
    "_bytes_per_s": "MB/s, GB/s, GiB/s, Mbit/s, Gbit/s",
    "_usd_per_h": "USD/h, USD/s",
    "_per_s": "k/s, M/s, G/s",
    "_bytes": "B, KB, MB, GB, TB, PB",
    "_hz": "Hz, kHz, MHz, GHz",
    "_w": "W, kW",
    "_s": "ns, us, ms, s, min, h",
}
_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([a-zA-Z$/]*)\s*")


def quantity(key: str, value: object, *, named: str, needs_unit: bool = False) -> float:
    """Return the number that a value stands for in the unit at the end of `key`.

    `named` says in messages whose value it is. A plain number is taken to be in that unit already, unless
    `needs_unit`. Raises InputError for anything that is no finite number or has an unknown unit.

    >>> quantity("memory_bytes", "16GB", named="gpu0: memory") == 16 * 2**30
    True
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise InputError(f"{named} must be finite, got {value}")
        if needs_unit:
            raise InputError(f"{named} needs a unit ({units_of(key)}), got {value}")
        return float(value)
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise InputError(f"{named} must be a number with a unit ({units_of(key)}), got {value!r}")
    number, unit = float(match.group(1)), match.group(2)
    if not unit:
        return quantity(key, number, named=named, needs_unit=needs_unit)
    factor = _table(key).get(unit.lower())
    if factor is None or unit.endswith("b/s"):  # "Mb/s" means megabits to many: they must say which
        raise InputError(f"{named} must have a unit of {units_of(key)}, got {value!r}")
    return number * factor


def units_of(key: str) -> str:
    """Return the units that the ending of a key allows, for messages."""
    return next((shown for ending, shown in _SHOWN.items() if key.endswith(ending)), "none: a plain number")


def _table(key: str) -> Mapping[str, float]:
    return next((units for ending, units in _UNITS.items() if key.endswith(ending)), {})
