"""GPUs as resources: the right sheet for a name, the board before the sheet."""

import pytest

from dnaml.core.types import Kind, UnitType
from dnaml.telemetry import gpu, nvml
from dnaml.telemetry.gpu import gpu_resource, gpu_resources, spec_sheet, unit_type

A100 = nvml.Gpu(
    index=1,
    name="NVIDIA A100-SXM4-80GB",
    uuid="GPU-1",
    memory_bytes=80 << 30,
    compute_capability=(8, 0),
    clock_boost_hz=1.4e9,
    power_limit_w=300.0,
)


@pytest.mark.parametrize(
    ("name", "memory_gib", "found"),
    [
        ("NVIDIA A100-SXM4-80GB", 80, "A100 SXM4 80 GB"),
        ("NVIDIA A100-SXM4-40GB", 40, "A100 SXM4 40 GB"),
        ("NVIDIA H100 80GB HBM3", 80, "H100 SXM5 80 GB"),
        ("NVIDIA H100 PCIe", 80, "H100 PCIe 80 GB"),
        ("Tesla T4", 16, "Tesla T4"),
        ("NVIDIA GeForce RTX 4090", 24, "GeForce RTX 4090"),
        ("NVIDIA L4", 24, "L4"),
    ],
)
def test_names_as_the_driver_says_them_find_their_sheet(name, memory_gib, found):
    assert gpu._find(name, memory_gib << 30).name == found


@pytest.mark.parametrize("name", ["", "Whatever", "NVIDIA ZZ9999"])
def test_an_unknown_board_has_no_sheet_rather_than_another_ones(name):
    assert spec_sheet(name) == {}


def test_a_sheet_is_in_our_units_and_marked_as_a_sheet():
    sheet = spec_sheet("NVIDIA A100-SXM4-80GB", 80 << 30)
    assert sheet["fp64_flop_per_s"] == pytest.approx(9.746e12)
    assert sheet["sequential_bytes_per_s"] == pytest.approx(2.04e12, rel=0.02)
    assert sheet["clock_boost_hz"] == 1.41e9
    assert sheet["flops_are_from_sheet"] == 1.0


def test_what_the_board_tells_wins_over_the_sheet():
    resource = gpu_resource(A100, price_usd_per_h=3.0)
    assert (resource.id, resource.kind, resource.unit_type) == ("gpu1", Kind.GPU, UnitType.TENSOR_CORE)
    assert (resource.memory_bytes, resource.power_w, resource.price_usd_per_h) == (80 << 30, 300.0, 3.0)
    assert resource.spec["clock_boost_hz"] == 1.4e9
    assert resource.spec["gpu_index"] == 1.0
    assert resource.environment == {"CUDA_VISIBLE_DEVICES": "GPU-1"}


@pytest.mark.parametrize(
    ("capability", "sheet", "expected"),
    [
        ((8, 0), {}, UnitType.TENSOR_CORE),
        ((7, 5), {"tensor_cores": 0.0}, UnitType.CUDA_CORE),
        ((6, 1), {"tensor_cores": 0.0}, UnitType.CUDA_CORE),
        (None, {"tensor_cores": 320.0}, UnitType.TENSOR_CORE),
        (None, {}, UnitType.CUDA_CORE),
    ],
)
def test_tensor_cores_are_known_by_capability_and_sheet(capability, sheet, expected):
    assert unit_type(capability, sheet) is expected


def test_there_are_as_many_gpu_resources_as_the_driver_shows():
    assert len(gpu_resources()) == len(nvml.gpus())
