"""The only door of NVML: GPUs of this machine, their state, and what given processes use of them.

A machine without driver gives empty answers and `reason()`; nothing here raises for a missing GPU.
"""

import contextlib
import functools
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

_WATT = 1e-3  # NVML speaks in milliwatts, megahertz, percent
_MHZ = 1e6
_SHARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU as NVML describes it; None where the board does not tell."""

    index: int
    name: str
    uuid: str
    memory_bytes: int
    compute_capability: tuple[int, int] | None
    clock_boost_hz: float | None
    power_limit_w: float | None


@functools.lru_cache(maxsize=1)
def _library() -> tuple[Any, str]:  # Any: the module has no types
    """Return the initialised library and an empty reason, or None and why there is none."""
    try:
        import pynvml
    except ImportError as error:
        return None, str(error)
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return None, f"NVML: {error}"
    return pynvml, ""


def reason() -> str:
    """Return why there is no GPU telemetry here, or an empty text where there is."""
    library, why = _library()
    return why or ("" if library.nvmlDeviceGetCount() else "NVML: no device")


def gpus() -> tuple[Gpu, ...]:
    """Return the GPUs of this machine."""
    return tuple(_described(i, handle) for i, handle in enumerate(_handles()))


class NvmlCollector:
    """A collector of every GPU: keys begin with `gpu0_`, `gpu1_`, ...; empty without a driver."""

    def sample(self) -> dict[str, float]:
        """Return load, memory, power, temperature and clock of each GPU, as far as each board tells."""
        return {f"gpu{i}_{key}": value for i, h in enumerate(_handles()) for key, value in _state(h).items()}


def state_of(index: int) -> dict[str, float]:
    """Return what one GPU tells of its state; empty if there is no such GPU."""
    handles = _handles()
    return _state(handles[index]) if index < len(handles) else {}


def use_by(pids: Collection[int]) -> dict[str, float]:
    """Return GPU memory and busy share of these processes, summed over GPUs; empty if none of them uses a GPU."""
    memory_bytes, busy_share = 0.0, 0.0
    seen = False
    library, _ = _library()
    for handle in _handles():
        with _untold(library):
            for process in library.nvmlDeviceGetComputeRunningProcesses(handle):
                if process.pid in pids:
                    seen = True
                    memory_bytes += float(process.usedGpuMemory or 0)
        with _untold(library):
            since_us = int((time.time() - 1.0) * 1e6)
            for use in library.nvmlDeviceGetProcessUtilization(handle, since_us):
                if use.pid in pids:
                    seen = True
                    busy_share += use.smUtil * _SHARE
    return {"gpu_memory_bytes": memory_bytes, "gpu_busy_share": busy_share} if seen else {}


def _handles() -> list[Any]:
    library, _ = _library()
    if library is None:
        return []
    return [library.nvmlDeviceGetHandleByIndex(i) for i in range(library.nvmlDeviceGetCount())]


@contextlib.contextmanager
def _untold(library: Any) -> Iterator[None]:
    """Pass over a question that this board or driver does not answer."""
    with contextlib.suppress(library.NVMLError):
        yield


def _state(handle: Any) -> dict[str, float]:
    library, _ = _library()
    found: dict[str, float] = {}
    with _untold(library):
        use = library.nvmlDeviceGetUtilizationRates(handle)
        found["busy_share"], found["memory_busy_share"] = use.gpu * _SHARE, use.memory * _SHARE
    with _untold(library):
        memory = library.nvmlDeviceGetMemoryInfo(handle)
        found["memory_used_bytes"], found["memory_free_bytes"] = float(memory.used), float(memory.free)
    with _untold(library):
        found["power_w"] = library.nvmlDeviceGetPowerUsage(handle) * _WATT
    with _untold(library):
        found["temperature_c"] = float(library.nvmlDeviceGetTemperature(handle, library.NVML_TEMPERATURE_GPU))
    with _untold(library):
        found["clock_hz"] = library.nvmlDeviceGetClockInfo(handle, library.NVML_CLOCK_SM) * _MHZ
    return found


def _described(index: int, handle: Any) -> Gpu:
    library, _ = _library()
    told: dict[str, Any] = {}
    with _untold(library):
        told["compute_capability"] = tuple(library.nvmlDeviceGetCudaComputeCapability(handle))
    with _untold(library):
        told["clock_boost_hz"] = library.nvmlDeviceGetMaxClockInfo(handle, library.NVML_CLOCK_SM) * _MHZ
    with _untold(library):
        told["power_limit_w"] = library.nvmlDeviceGetEnforcedPowerLimit(handle) * _WATT
    return Gpu(
        index=index,
        name=library.nvmlDeviceGetName(handle),
        uuid=library.nvmlDeviceGetUUID(handle),
        memory_bytes=int(library.nvmlDeviceGetMemoryInfo(handle).total),
        compute_capability=told.get("compute_capability"),
        clock_boost_hz=told.get("clock_boost_hz"),
        power_limit_w=told.get("power_limit_w"),
    )
