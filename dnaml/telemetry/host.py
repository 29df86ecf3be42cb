"""Telemetry of the whole machine through psutil, and of contention where Linux shows its pressure stall figures."""

import contextlib
import os
from pathlib import Path

import psutil

_PRESSURE = Path("/proc/pressure")


class HostCollector:
    """A collector of this machine's CPU, memory, disk, network and temperature; what it does not show is absent.

    `cpu_busy_share` counts from the call before; the first sample counts from the collector's creation.
    """

    def __init__(self) -> None:
        """Start the interval of the first sample."""
        psutil.cpu_percent(interval=None)

    def sample(self) -> dict[str, float]:
        """Return the machine's state and its running totals, unit in each name."""
        memory = psutil.virtual_memory()
        found = {
            "cpu_busy_share": psutil.cpu_percent(interval=None) / 100.0,
            "memory_used_bytes": float(memory.total - memory.available),
            "memory_free_bytes": float(memory.available),
            **_load(),
            **_pressure(),
            **_disk(),
            **_network(),
        }
        temperature_c = hottest_c()
        if temperature_c is not None:
            found["temperature_c"] = temperature_c
        return found


def hottest_c() -> float | None:
    """Return the highest temperature that a sensor of this machine shows, or None without sensors."""
    read = getattr(psutil, "sensors_temperatures", None)  # absent on macOS
    if read is None:
        return None
    shown = [s.current for sensors in read().values() for s in sensors if s.current is not None and s.current > 0]
    return max(shown, default=None)


def _load() -> dict[str, float]:
    """Return runnable processes per core, the mean over a minute."""
    with contextlib.suppress(OSError):
        return {"load_per_core": os.getloadavg()[0] / (os.cpu_count() or 1)}
    return {}


def _pressure() -> dict[str, float]:
    """Return the share of the last 10 s in which some process waited for a core, for memory, for the disk."""
    found = {}
    for resource in ("cpu", "memory", "io"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            some = (_PRESSURE / resource).read_text().split()
            found[f"{resource}_pressure_share"] = float(some[1].removeprefix("avg10=")) / 100.0
    return found


def _disk() -> dict[str, float]:
    with contextlib.suppress(RuntimeError, OSError):  # psutil raises RuntimeError where there is no disk to count
        total = psutil.disk_io_counters()
        if total is not None:
            return {"disk_read_bytes": float(total.read_bytes), "disk_written_bytes": float(total.write_bytes)}
    return {}


def _network() -> dict[str, float]:
    with contextlib.suppress(RuntimeError, OSError):
        total = psutil.net_io_counters()
        if total is not None:
            return {"network_received_bytes": float(total.bytes_recv), "network_sent_bytes": float(total.bytes_sent)}
    return {}
