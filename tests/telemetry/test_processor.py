"""What the processor is, from recorded descriptions of other machines and from this one."""

import os
import platform
import subprocess
import sys

import pytest

from dnaml.core.types import UnitType
from dnaml.telemetry import processor
from dnaml.telemetry.processor import (
    caches,
    clocks,
    cpu_flags,
    features,
    hardware_unit,
    model_name,
    usable_units,
    widest_common,
)

XEON = """processor\t: 0
model name\t: Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz
cpu MHz\t\t: 3100.000
flags\t\t: fpu sse2 avx2 avx512f amx_tile

processor\t: 1
model name\t: Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz
cpu MHz\t\t: 2900.000
flags\t\t: fpu sse2 avx2 avx512f amx_tile
"""
GRAVITON = "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd sve\n"


@pytest.fixture
def xeon(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text(XEON)
    return path


def test_flags_model_and_clocks_are_read_from_cpuinfo(xeon, tmp_path):
    (tmp_path / "cpuinfo_max_freq").write_text("3900000\n")
    assert cpu_flags(xeon) == {"fpu", "sse2", "avx2", "avx512f", "amx_tile"}
    assert model_name(xeon).endswith("8259CL CPU @ 2.50GHz")
    assert clocks(xeon, tmp_path) == {"clock_average_hz": 3.0e9, "clock_boost_hz": 3.9e9, "clock_nominal_hz": 2.5e9}


def test_a_boost_clock_that_nobody_tells_is_absent(xeon, tmp_path):
    assert "clock_boost_hz" not in clocks(xeon, tmp_path / "absent")


def test_arm_flags_are_found_under_their_own_name(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text(GRAVITON)
    assert "asimd" in cpu_flags(path)


@pytest.mark.parametrize(
    ("flags", "machine", "unit"),
    [
        ({"sse2", "avx2", "avx512f", "amx_tile"}, "x86_64", UnitType.AMX),
        ({"sse2", "avx2", "avx512f"}, "x86_64", UnitType.AVX512),
        ({"sse2", "avx2"}, "x86_64", UnitType.AVX2),
        ({"sse2"}, "x86_64", UnitType.SSE),
        (set(), "x86_64", UnitType.SSE),
        ({"asimd"}, "aarch64", UnitType.NEON),
        (set(), "arm64", UnitType.NEON),
        (set(), "riscv64", UnitType.SCALAR),
    ],
)
def test_the_widest_unit_of_the_hardware_is_named(flags, machine, unit):
    assert hardware_unit(frozenset(flags), machine) is unit


@pytest.mark.parametrize(
    ("variable", "value", "unit"),
    [
        ("ONEDNN_MAX_CPU_ISA", "AVX2", UnitType.AVX2),
        ("ONEDNN_MAX_CPU_ISA", "AVX512_CORE", UnitType.AVX512),
        ("MKL_ENABLE_INSTRUCTIONS", "SSE4_2", UnitType.SSE),
        ("MKL_CBWR", "COMPATIBLE", UnitType.SSE),
        ("MKL_CBWR", "AVX2,STRICT", UnitType.AVX2),
        ("OPENBLAS_CORETYPE", "Prescott", UnitType.SSE),
        ("OPENBLAS_CORETYPE", "Haswell", UnitType.AVX2),
    ],
)
def test_a_cap_in_the_environment_says_what_its_library_may_use(variable, value, unit):
    assert usable_units(UnitType.AMX, {variable: value})[variable] is unit


def test_a_cap_above_the_hardware_or_unknown_caps_nothing():
    assert "OPENBLAS_CORETYPE" not in usable_units(UnitType.AVX2, {"OPENBLAS_CORETYPE": "SkylakeX"})
    assert "MKL_CBWR" not in usable_units(UnitType.AVX2, {"MKL_CBWR": "AUTO"})
    assert usable_units(UnitType.NEON, {"MKL_CBWR": "COMPATIBLE"}) == {}


def test_the_unit_of_a_resource_is_what_every_library_may_use():
    assert widest_common(UnitType.AMX, {}) is UnitType.AMX
    assert widest_common(UnitType.AMX, {"a": UnitType.AVX2, "b": UnitType.SSE}) is UnitType.SSE
    assert widest_common(UnitType.NEON, {}) is UnitType.NEON


def test_features_say_usable_and_absent_apart_from_unknown():
    assert features(UnitType.AMX, UnitType.AVX2) == {
        "avx2": 1.0,
        "avx512": 0.0,
        "amx": 0.0,
        "vector_bits": 256.0,
        "hardware_vector_bits": 512.0,
    }
    assert features(UnitType.NEON, UnitType.NEON) == {"neon": 1.0, "vector_bits": 128.0}


def test_caches_are_sized_without_the_instruction_cache(tmp_path):
    for index, (level, kind, size) in enumerate(
        [("1", "Data", "48K"), ("1", "Instruction", "32K"), ("2", "Unified", "2048K"), ("3", "Unified", "36M")]
    ):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        for name, text in (("level", level), ("type", kind), ("size", size)):
            (folder / name).write_text(text + "\n")
    assert caches(tmp_path) == {
        "cache_l1_bytes": 48 * 2**10,
        "cache_l2_bytes": 2 * 2**20,
        "cache_l3_bytes": 36 * 2**20,
    }
    assert caches(tmp_path / "absent") == {}


def test_without_cpuinfo_the_slow_way_is_asked(tmp_path):
    found = clocks(tmp_path / "absent", tmp_path / "absent")
    assert all(hertz > 1e8 for hertz in found.values())


def test_this_machine_has_a_unit_and_libraries_that_may_use_it():
    here = hardware_unit(cpu_flags(), platform.machine())
    assert here in UnitType
    assert widest_common(here, usable_units(here, {})) in UnitType


@pytest.mark.skipif(platform.machine() != "x86_64", reason="caps x86 levels")
def test_numpy_is_asked_what_it_may_use_under_a_real_cap():
    if hardware_unit(cpu_flags(), "x86_64") not in (UnitType.AVX512, UnitType.AMX):
        pytest.skip("needs AVX-512 to cap it")
    code = (
        "from dnaml.telemetry.processor import *; from dnaml.telemetry import processor as p;"
        "u = hardware_unit(cpu_flags(), 'x86_64');"
        "print(p._numpy_unit().value, widest_common(u, usable_units(u, {})).value)"
    )
    names = "AVX512_SKX" if _numpy_before_24() else "X86_V4"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NPY_DISABLE_CPU_FEATURES": names},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["avx2", "avx2"]


def _numpy_before_24():
    import numpy as np

    return tuple(map(int, np.__version__.split(".")[:2])) < (2, 4)


def test_libraries_that_are_not_installed_are_passed_over(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "numpy._core._multiarray_umath", None)
    assert processor._torch_unit() is None
    assert processor._numpy_unit() is None
    assert usable_units(UnitType.AVX512, {}) == {}


def test_a_mac_is_asked_through_sysctl(monkeypatch, tmp_path):
    answers = {
        "machdep.cpu.brand_string": "Apple M2",
        "machdep.cpu.features": "SSE4.2 AVX2",
        "hw.cpufrequency": "2400000000",
    }
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(processor, "_sysctl", lambda *names: " ".join(answers.get(n, "") for n in names))
    assert model_name(tmp_path / "absent") == "Apple M2"
    assert "avx2" in cpu_flags(tmp_path / "absent")
    assert clocks(tmp_path / "absent", tmp_path / "absent") == {"clock_average_hz": 2.4e9}
