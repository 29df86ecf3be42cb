"""What the processor is: vector units that libraries may use under the caps now in force, clocks, caches, model.

Must be called in the process whose environment holds the caps: libraries read them once, when first loaded.
"""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from dnaml.core.types import UnitType

_CPUINFO = Path("/proc/cpuinfo")
_WIDTHS = {
    UnitType.SCALAR: 64,
    UnitType.SSE: 128,
    UnitType.NEON: 128,
    UnitType.AVX2: 256,
    UnitType.AVX512: 512,
    UnitType.AMX: 8192,  # one tile: 16 rows of 64 bytes
}
_ORDER = (UnitType.SCALAR, UnitType.SSE, UnitType.AVX2, UnitType.AVX512, UnitType.AMX)

# What each library's cap allows at most; values as their documentation spells them.
_ONEDNN = {
    "SSE41": UnitType.SSE,
    "AVX": UnitType.SSE,
    "AVX2": UnitType.AVX2,
    "AVX2_VNNI": UnitType.AVX2,
    "AVX2_VNNI_2": UnitType.AVX2,
    "AVX512_CORE": UnitType.AVX512,
    "AVX512_CORE_VNNI": UnitType.AVX512,
    "AVX512_CORE_BF16": UnitType.AVX512,
    "AVX512_CORE_FP16": UnitType.AVX512,
}
_MKL = {"SSE4_2": UnitType.SSE, "AVX": UnitType.SSE, "AVX2": UnitType.AVX2, "AVX512": UnitType.AVX512}
_MKL_CBWR = {"COMPATIBLE": UnitType.SSE, "SSE2": UnitType.SSE, "SSE4_2": UnitType.SSE, "AVX2": UnitType.AVX2}
_OPENBLAS = {
    **dict.fromkeys(("PRESCOTT", "CORE2", "NEHALEM", "ATOM", "OPTERON", "BARCELONA"), UnitType.SSE),
    **dict.fromkeys(("SANDYBRIDGE", "BULLDOZER"), UnitType.SSE),  # AVX without its integer half
    **dict.fromkeys(("HASWELL", "ZEN", "EXCAVATOR"), UnitType.AVX2),
    **dict.fromkeys(("SKYLAKEX", "COOPERLAKE"), UnitType.AVX512),
}
_CAPS = {
    "ONEDNN_MAX_CPU_ISA": _ONEDNN,
    "DNNL_MAX_CPU_ISA": _ONEDNN,
    "MKL_ENABLE_INSTRUCTIONS": _MKL,
    "MKL_CBWR": _MKL_CBWR,
    "OPENBLAS_CORETYPE": _OPENBLAS,
    "ATEN_CPU_CAPABILITY": {"DEFAULT": UnitType.SSE, "AVX2": UnitType.AVX2, "AVX512": UnitType.AVX512},
}


def cpu_flags(cpuinfo: Path = _CPUINFO) -> frozenset[str]:
    """Return the instruction-set flags of the first processor; empty where the system does not list them."""
    match = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", _text(cpuinfo), re.MULTILINE)
    if match:
        return frozenset(match.group(1).split())
    if platform.system() == "Darwin":
        return frozenset(_sysctl("machdep.cpu.features", "machdep.cpu.leaf7_features").lower().split())
    return frozenset()


def hardware_unit(flags: frozenset[str], machine: str) -> UnitType:
    """Return the widest unit that the processor has, whatever libraries may use of it."""
    if machine.lower() in ("aarch64", "arm64"):
        return UnitType.NEON
    for unit, needed in (
        (UnitType.AMX, ("amx_tile",)),
        (UnitType.AVX512, ("avx512f",)),
        (UnitType.AVX2, ("avx2",)),
        (UnitType.SSE, ("sse2",)),
    ):
        if flags.issuperset(needed):
            return unit
    return UnitType.SSE if machine.lower() in ("x86_64", "amd64") else UnitType.SCALAR


def usable_units(hardware: UnitType, environment: Mapping[str, str]) -> dict[str, UnitType]:
    """Return the widest unit each library may use here: numpy and torch are asked, the others' caps are read.

    Only libraries that are held below the hardware appear, under the variable or library that holds them.
    """
    if hardware not in _ORDER:
        return {}
    allowed = _declared(environment)
    vectors = min(hardware, UnitType.AVX512, key=_ORDER.index)  # numpy and torch's own code know no tiles
    for name, unit in (("numpy", _numpy_unit()), ("torch", _torch_unit())):
        if unit is not None and _ORDER.index(unit) < _ORDER.index(vectors):
            allowed[name] = unit
    return {name: unit for name, unit in allowed.items() if _ORDER.index(unit) < _ORDER.index(hardware)}


def widest_common(hardware: UnitType, capped: Mapping[str, UnitType]) -> UnitType:
    """Return the widest unit that every library may use."""
    return min((hardware, *capped.values()), key=_ORDER.index) if hardware in _ORDER else hardware


def features(hardware: UnitType, usable: UnitType) -> dict[str, float]:
    """Return unit flags as numbers (1 usable, 0 known to be absent or capped) and register widths in bits."""
    if hardware is UnitType.NEON:
        return {"neon": 1.0, "vector_bits": 128.0}
    rank = _ORDER.index(usable)
    flags = {unit.value: float(rank >= _ORDER.index(unit)) for unit in (UnitType.AVX2, UnitType.AVX512, UnitType.AMX)}
    return {
        **flags,
        "vector_bits": float(min(_WIDTHS[usable], 512)),
        "hardware_vector_bits": float(min(_WIDTHS[hardware], 512)),
    }


def clocks(cpuinfo: Path = _CPUINFO, cpufreq: Path = Path("/sys/devices/system/cpu/cpu0/cpufreq")) -> dict[str, float]:
    """Return average and boost clock in Hz, as far as the system tells; no guess where it does not."""
    found: dict[str, float] = {}
    running = [float(mhz) * 1e6 for mhz in re.findall(r"^cpu MHz\s*:\s*([\d.]+)", _text(cpuinfo), re.MULTILINE)]
    if running:
        found["clock_average_hz"] = sum(running) / len(running)
    boost_khz = _text(cpufreq / "cpuinfo_max_freq").strip()
    if boost_khz.isdigit():
        found["clock_boost_hz"] = float(boost_khz) * 1e3
    nominal = re.search(r"@\s*([\d.]+)\s*GHz", model_name(cpuinfo))
    if nominal:
        found["clock_nominal_hz"] = float(nominal.group(1)) * 1e9
    if not found and platform.system() == "Darwin":
        hertz = _sysctl("hw.cpufrequency").strip()
        if hertz.isdigit() and float(hertz) > 0:
            found["clock_average_hz"] = float(hertz)
    return found or _clocks_by_cpuinfo()


def model_name(cpuinfo: Path = _CPUINFO) -> str:
    """Return the processor's own name for itself, or an empty text."""
    match = re.search(r"^model name\s*:\s*(.*)$", _text(cpuinfo), re.MULTILINE)
    if match:
        return match.group(1).strip()
    return _sysctl("machdep.cpu.brand_string").strip() if platform.system() == "Darwin" else platform.processor()


def caches(root: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> dict[str, float]:
    """Return the sizes of the data caches that core 0 sees, in bytes."""
    found: dict[str, float] = {}
    for index in sorted(root.glob("index*")):
        level, size = _text(index / "level").strip(), _text(index / "size").strip()
        if _text(index / "type").strip() != "Instruction" and level and size[:-1].isdigit():
            found[f"cache_l{level}_bytes"] = float(size[:-1]) * {"K": 1 << 10, "M": 1 << 20}.get(size[-1], 1)
    return found


def _declared(environment: Mapping[str, str]) -> dict[str, UnitType]:
    caps = {}
    for variable, units in _CAPS.items():
        unit = units.get(environment.get(variable, "").split(",")[0].upper())
        if unit is not None:
            caps[variable] = unit
    return caps


def _numpy_unit() -> UnitType | None:
    """Return the widest unit numpy found enabled, or None where it does not say."""
    try:
        # The extension module has no type stub.
        from numpy._core._multiarray_umath import __cpu_features__ as enabled  # type: ignore[import-not-found]
    except ImportError:
        return None
    # numpy 2.4 groups features by level (X86_V3, X86_V4); disabling a group leaves its members' own flags on.
    if enabled.get("X86_V4", enabled.get("AVX512_SKX")):
        return UnitType.AVX512
    return UnitType.AVX2 if enabled.get("X86_V3", enabled.get("AVX2")) else UnitType.SSE


def _torch_unit() -> UnitType | None:
    """Return the level of torch's own vector code, or None without torch."""
    try:
        import torch
    except ImportError:
        return None
    levels = {"DEFAULT": UnitType.SSE, "AVX2": UnitType.AVX2, "AVX512": UnitType.AVX512}
    return levels.get(torch.backends.cpu.get_cpu_capability())


def _clocks_by_cpuinfo() -> dict[str, float]:
    """Ask py-cpuinfo, which takes up to a second and is therefore last."""
    import cpuinfo

    hertz = cpuinfo.get_cpu_info().get("hz_actual", (0, 0))[0]
    return {"clock_average_hz": float(hertz)} if hertz else {}


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _sysctl(*names: str) -> str:
    done = subprocess.run(["sysctl", "-n", *names], capture_output=True, text=True, check=False, env=dict(os.environ))
    return done.stdout
