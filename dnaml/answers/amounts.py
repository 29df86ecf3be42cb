"""How amounts are written for people: a few digits and a unit; what is unknown is a dash, never a zero."""

import math
import time

_STEPS = ((1e-6, "ns", 1e9), (1e-3, "µs", 1e6), (1.0, "ms", 1e3), (120.0, "s", 1.0), (7200.0, "min", 1 / 60))
UNKNOWN = "-"
LEAST_SHARE = 1e-4


def seconds(value_s: float | None) -> str:
    """Write a duration.

    >>> seconds(0.0042), seconds(75), seconds(9000), seconds(None)
    ('4.2 ms', '75 s', '2.5 h', '-')
    """
    if value_s is None or not math.isfinite(value_s):
        return UNKNOWN
    if value_s == 0:
        return "0 s"
    for below, unit, factor in _STEPS:
        if abs(value_s) < below:
            return f"{_short(value_s * factor)} {unit}"
    return f"{_short(value_s / 3600)} h"


def size(value_bytes: float | None) -> str:
    """Write a size in binary units.

    >>> size(24 * 2**30)
    '24 GiB'
    """
    return _scaled(value_bytes, 1024.0, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"))


def rate(value_per_s: float | None, unit: str) -> str:
    """Write a rate in decimal units.

    >>> rate(8.9e10, "FLOP/s")
    '89 GFLOP/s'
    """
    return _scaled(value_per_s, 1000.0, tuple(f"{prefix}{unit}" for prefix in ("", "k", "M", "G", "T", "P")))


def usd(value_usd: float | None) -> str:
    """Write money with three digits that matter.

    >>> usd(0.00123), usd(12.5)
    ('$0.00123', '$12.5')
    """
    if value_usd is None or not math.isfinite(value_usd):
        return UNKNOWN
    return f"${value_usd:.2f}" if value_usd >= 100 else f"${_short(value_usd)}"


def share(value: float | None) -> str:
    """Write a fraction of one in percent; what is less than anybody can tell from nothing is written so.

    >>> share(0.053), share(1e-9), share(0.0)
    ('5.3 %', '< 0.01 %', '0 %')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return "< 0.01 %" if 0 < value < LEAST_SHARE else f"{_short(100 * value)} %"


def moment(at_s: float | None) -> str:
    """Write a moment in local time."""
    return UNKNOWN if at_s is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_s))


def _scaled(value: float | None, step: float, units: tuple[str, ...]) -> str:
    if value is None or not math.isfinite(value):
        return UNKNOWN
    for unit in units[:-1]:
        if abs(value) < step:
            return f"{_short(value)} {unit}"
        value /= step
    return f"{_short(value)} {units[-1]}"


def _short(value: float) -> str:
    """Write three digits, never with an exponent."""
    digits = 3 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
