"""Power of the processor: read from RAPL where the kernel shows it, else a stated model, marked as estimated."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

RAPL = Path("/sys/class/powercap/intel-rapl:0")
_TDP_PER_CORE_W = 6.0
"""Thermal design power by core where no specification is known: server parts of 2019-2024 lie at 3-12 W."""
_IDLE_SHARE = 0.3
"""Share of its power that an idle core still draws, memory and fabric included (SPECpower 2017-2023: 0.15-0.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerModel:
    """Power of `cores` cores by their busy share: idle share of TDP plus the rest in proportion."""

    tdp_w: float
    cores: int

    def watts(self, busy_cores: float) -> float:
        """Return the model's power with so many cores busy."""
        busy_share = min(max(busy_cores / self.cores, 0.0), 1.0)
        return self.tdp_w * (_IDLE_SHARE + (1.0 - _IDLE_SHARE) * busy_share)

    def attributable_w(self, busy_cores: float) -> float:
        """Return the part of the power that goes to work keeping so many cores busy: its share of the whole."""
        return self.tdp_w * min(max(busy_cores / self.cores, 0.0), 1.0)


def power_model() -> PowerModel:
    """Return the model of this machine from the cores it shows."""
    cores = os.cpu_count() or 1
    return PowerModel(tdp_w=_TDP_PER_CORE_W * cores, cores=cores)


def energy_j(rapl: Path = RAPL) -> float | None:
    """Return the package's energy counter in joules, or None where the kernel shows none or forbids it."""
    try:
        return int((rapl / "energy_uj").read_text()) / 1e6
    except (OSError, ValueError):
        return None


class PackagePower:
    """Turns the energy counter into watts between two readings; an interval in which it wrapped is dropped."""

    def __init__(self, rapl: Path = RAPL) -> None:
        """Take the first reading."""
        self._rapl = rapl
        self._last_j = energy_j(rapl)
        self._last_s = time.monotonic()

    def watts(self) -> float | None:
        """Return the mean power since the last call, or None without a sensor or after a wrap."""
        now_j, now_s = energy_j(self._rapl), time.monotonic()
        last_j, last_s = self._last_j, self._last_s
        self._last_j, self._last_s = now_j, now_s
        if now_j is None or last_j is None or now_j < last_j or now_s <= last_s:
            return None
        return (now_j - last_j) / (now_s - last_s)


def core_power(busy_cores: float = 1.0, sensed_w: float | None = None) -> dict[str, float]:
    """Return `power_w` of work on so many cores and `power_is_estimated` (1 without a sensor)."""
    if sensed_w is not None:
        return {"power_w": sensed_w, "power_is_estimated": 0.0}
    return {"power_w": power_model().attributable_w(busy_cores), "power_is_estimated": 1.0}
