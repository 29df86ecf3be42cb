"""Sizes and durations as people write them: `4+`, `16GB`, `A100:8`, `90s`, `1h30m`.

Units mean what they mean to SkyPilot: a memory size without a unit counts GiB, and GB is 2**30 bytes like Gi.
"""

import re
from dataclasses import dataclass

from dnaml.core.errors import InputError

GIB = 2**30
MEMORY_UNITS = {"k": 2**10, "m": 2**20, "g": GIB, "t": 2**40, "p": 2**50}
TIME_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}

COUNT_PATTERN = r"^[0-9]+(\.[0-9]+)?\+?$"
MEMORY_PATTERN = r"^[0-9]+(\.[0-9]+)?([KkMmGgTtPp]([Bb]|i|iB)?)?\+?$"
ACCELERATOR_PATTERN = r"^[A-Za-z][A-Za-z0-9_.-]*(:[0-9]+)?$"
DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?[smhdw]?|([0-9]+[smhdw])+)$"


@dataclass(frozen=True, slots=True, kw_only=True)
class AtLeast:
    """An amount that is wanted: exactly, or with `or_more` that much at least."""

    amount: float
    or_more: bool

    def allows(self, offered: float) -> bool:
        """Say whether an offer fits the wish."""
        return offered >= self.amount if self.or_more else offered == self.amount


def parse_count(written: int | float | str, *, what: str) -> AtLeast:
    """Return a number of things from `4`, `0.5` or `4+`; raise InputError otherwise."""
    text = str(written).strip()
    if not re.fullmatch(COUNT_PATTERN, text) or float(text.rstrip("+")) == 0:
        raise InputError(f"{what}: must be a positive number such as 4 or 4+, got {written!r}")
    return AtLeast(amount=float(text.rstrip("+")), or_more=text.endswith("+"))


def parse_memory(written: int | float | str, *, what: str) -> AtLeast:
    """Return bytes from `16` (GiB), `16GB`, `512Mi` or `16GB+`; raise InputError otherwise."""
    text = str(written).strip()
    if not re.fullmatch(MEMORY_PATTERN, text):
        raise InputError(f"{what}: must be a size such as 16, 16GB or 16GB+, got {written!r}")
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", text.rstrip("+")).groups()  # type: ignore[union-attr]
    amount = float(number) * (MEMORY_UNITS[unit[0].lower()] if unit else GIB)
    if amount == 0:
        raise InputError(f"{what}: must be positive, got {written!r}")
    return AtLeast(amount=amount, or_more=text.endswith("+"))


def parse_accelerator(written: str, *, what: str) -> tuple[str, int]:
    """Return (name, count) from `A100` or `A100:8`; raise InputError otherwise."""
    if not re.fullmatch(ACCELERATOR_PATTERN, written):
        raise InputError(f"{what}: must be a name and a count such as A100:8, got {written!r}")
    name, _, count = written.partition(":")
    if count and int(count) == 0:
        raise InputError(f"{what}: the count must be at least 1, got {written!r}")
    return name, int(count or 1)


def parse_duration(written: int | float | str, *, what: str) -> float:
    """Return seconds from `90`, `90s`, `2h` or `1h30m`; raise InputError otherwise."""
    text = str(written).strip()
    if not re.fullmatch(DURATION_PATTERN, text):
        raise InputError(f"{what}: must be a duration such as 90s, 2h or 1h30m, got {written!r}")
    parts = re.findall(r"([0-9.]+)([smhdw]?)", text)
    total_s = sum(float(number) * TIME_UNITS[unit or "s"] for number, unit in parts)
    if total_s <= 0:
        raise InputError(f"{what}: must be longer than zero, got {written!r}")
    return total_s
