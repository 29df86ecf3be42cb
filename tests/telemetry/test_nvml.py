"""NVML: without a driver, which is real on most machines that run this; with one, on a recording of its answers."""

import sys
from types import SimpleNamespace

import pytest

from dnaml.telemetry import nvml


@pytest.fixture(autouse=True)
def fresh_library():
    nvml._library.cache_clear()
    yield
    nvml._library.cache_clear()


has_gpu = not nvml.reason()


@pytest.mark.skipif(has_gpu, reason="this machine has an NVIDIA driver")
def test_a_machine_without_driver_gives_empty_samples_and_the_reason():
    assert nvml.NvmlCollector().sample() == {}
    assert nvml.gpus() == ()
    assert nvml.use_by([1]) == {}
    assert nvml.state_of(0) == {}
    assert "NVML" in nvml.reason()


def test_a_machine_without_the_package_gives_the_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert nvml.NvmlCollector().sample() == {}
    assert "pynvml" in nvml.reason()


@pytest.mark.gpu
@pytest.mark.skipif(not has_gpu, reason="needs an NVIDIA GPU")
def test_a_real_gpu_tells_its_name_memory_and_load():
    gpu = nvml.gpus()[0]
    assert gpu.memory_bytes > 2**30
    state = nvml.state_of(0)
    assert 0.0 <= state["busy_share"] <= 1.0
    assert 0.0 < state["memory_free_bytes"] <= gpu.memory_bytes


class NVMLError(Exception):
    pass


def board(**answers):
    """Return a module that answers as NVML does for one board; what is not given is not supported by the board."""

    def refuse(*_):
        raise NVMLError("Not Supported")

    names = [
        "UtilizationRates MemoryInfo PowerUsage Temperature ClockInfo CudaComputeCapability MaxClockInfo",
        "EnforcedPowerLimit ComputeRunningProcesses ProcessUtilization",
    ]
    questions = {f"nvmlDeviceGet{name}": refuse for name in " ".join(names).split()}
    given = {f"nvmlDeviceGet{name}": lambda *_, value=value: value for name, value in answers.items()}
    return SimpleNamespace(
        NVMLError=NVMLError,
        NVML_TEMPERATURE_GPU=0,
        NVML_CLOCK_SM=1,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetName=lambda handle: "NVIDIA A100-SXM4-80GB",
        nvmlDeviceGetUUID=lambda handle: "GPU-1",
        **(questions | given),
    )


MEMORY = SimpleNamespace(total=80 << 30, used=20 << 30, free=60 << 30)


def test_units_are_ours_and_not_those_of_nvml(monkeypatch):
    told = board(
        UtilizationRates=SimpleNamespace(gpu=37, memory=5),
        MemoryInfo=MEMORY,
        PowerUsage=123_456,
        Temperature=61,
        ClockInfo=1410,
    )
    monkeypatch.setitem(sys.modules, "pynvml", told)
    assert nvml.NvmlCollector().sample() == pytest.approx(
        {
            "gpu0_busy_share": 0.37,
            "gpu0_memory_busy_share": 0.05,
            "gpu0_memory_used_bytes": 20 << 30,
            "gpu0_memory_free_bytes": 60 << 30,
            "gpu0_power_w": 123.456,
            "gpu0_temperature_c": 61.0,
            "gpu0_clock_hz": 1.41e9,
        }
    )
    assert nvml.reason() == ""


def test_what_a_board_does_not_support_is_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", board(MemoryInfo=MEMORY))
    assert set(nvml.NvmlCollector().sample()) == {"gpu0_memory_used_bytes", "gpu0_memory_free_bytes"}
    (gpu,) = nvml.gpus()
    assert (gpu.compute_capability, gpu.clock_boost_hz, gpu.power_limit_w) == (None, None, None)


def test_a_board_is_described_by_what_it_tells(monkeypatch):
    told = board(MemoryInfo=MEMORY, CudaComputeCapability=[8, 0], MaxClockInfo=1410, EnforcedPowerLimit=400_000)
    monkeypatch.setitem(sys.modules, "pynvml", told)
    (gpu,) = nvml.gpus()
    assert (gpu.memory_bytes, gpu.compute_capability, gpu.clock_boost_hz, gpu.power_limit_w) == (
        80 << 30,
        (8, 0),
        1.41e9,
        400.0,
    )


def test_only_the_use_of_the_asked_processes_counts(monkeypatch):
    told = board(
        ComputeRunningProcesses=[
            SimpleNamespace(pid=7, usedGpuMemory=1 << 30),
            SimpleNamespace(pid=8, usedGpuMemory=5 << 30),
            SimpleNamespace(pid=9, usedGpuMemory=None),
        ],
        ProcessUtilization=[SimpleNamespace(pid=7, smUtil=40), SimpleNamespace(pid=8, smUtil=50)],
    )
    monkeypatch.setitem(sys.modules, "pynvml", told)
    assert nvml.use_by({7, 9}) == {"gpu_memory_bytes": float(1 << 30), "gpu_busy_share": pytest.approx(0.4)}
    assert nvml.use_by({1}) == {}


def test_a_driver_without_devices_says_so(monkeypatch):
    empty = board()
    empty.nvmlDeviceGetCount = lambda: 0
    monkeypatch.setitem(sys.modules, "pynvml", empty)
    assert nvml.reason() == "NVML: no device"
