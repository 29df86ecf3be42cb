"""Every shipped probe runs here, does the work it says, and gives a value that a real machine can have."""

from contextlib import ExitStack

import numpy as np
import pytest

from dnaml.telemetry import probe_memory
from dnaml.telemetry.probe_compute import compute_probes
from dnaml.telemetry.probe_gpu import gpu_probes
from dnaml.telemetry.probe_io import io_probes
from dnaml.telemetry.probe_memory import memory_probes
from dnaml.telemetry.probes import Form, measure, run

ALL = [*compute_probes(), *memory_probes(), *io_probes()]
POSSIBLE = {
    "fp64_flop_per_s": (1e8, 1e13),
    "fp32_flop_per_s": (1e8, 1e13),
    "torch_fp64_flop_per_s": (1e8, 1e13),
    "torch_fp32_flop_per_s": (1e8, 1e13),
    "bf16_flop_per_s": (1e7, 1e14),
    "int8_op_per_s": (1e7, 1e14),
    "vector_exp_per_s": (1e6, 1e11),
    "sort_items_per_s": (1e5, 1e10),
    "hash_bytes_per_s": (1e6, 1e11),
    "python_ops_per_s": (1e5, 1e9),
    "sequential_bytes_per_s": (1e8, 1e13),
    "triad_bytes_per_s": (1e8, 1e13),
    "random_access_per_s": (1e5, 1e9),
    "gather_items_per_s": (1e5, 1e11),
    "disk_write_bytes_per_s": (1e4, 1e12),
    "latency_s": (1e-7, 0.5),
    "startup_s": (1e-3, 30.0),
}


def test_there_is_a_probe_for_everything_that_dna_needs():
    assert {probe.key for probe in ALL} == set(POSSIBLE)


@pytest.mark.parametrize("probe", ALL, ids=lambda probe: probe.key)
def test_a_probe_gives_a_value_that_a_machine_can_have(probe):
    with ExitStack() as stack:
        repeat = measure(probe.setup(stack), probe.clock, 0.003, 5.0)
    seconds = max(repeat.cpu_s if probe.clock.value == "cpu" else repeat.wall_s, 1e-9)
    value = seconds / repeat.amount if probe.form is Form.DURATION else repeat.amount / seconds
    lowest, highest = POSSIBLE[probe.key]
    assert lowest < value < highest


def test_dependent_reads_really_depend_on_each_other_and_visit_everything():
    table = probe_memory._full_period_table()
    assert np.array_equal(np.sort(table), np.arange(len(table)))  # each item points to another one: a permutation
    at, seen = 0, set()
    for _ in range(10_000):
        seen.add(at)
        at = int(table[at])
    assert len(seen) == 10_000  # and its walk does not come back early
    with ExitStack() as stack:
        step = probe_memory._chase(stack)
        step()
        chain = step.__closure__[step.__code__.co_freevars.index("chain")].cell_contents
        expected = [int(chain[0])]
        for _ in range(len(chain) - 1):
            expected.append(int(table[expected[-1]]))
    assert chain.tolist() == expected


def test_a_numpy_that_copies_overlapping_indices_is_noticed(monkeypatch):
    def copying(table, indices, out, mode):
        out[:] = table[indices.copy()] + 1

    monkeypatch.setattr(np, "take", copying)
    with ExitStack() as stack, pytest.raises(RuntimeError, match="copies overlapping indices"):
        probe_memory._chase(stack)


def test_the_disk_probe_leaves_no_file_even_while_it_runs(tmp_path):
    (disk,) = [probe for probe in io_probes(tmp_path) if probe.key == "disk_write_bytes_per_s"]
    with ExitStack() as stack:
        assert disk.setup(stack)() == 4 << 20
        assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_leaves_the_disk_unknown(tmp_path):
    probes = [probe for probe in io_probes(tmp_path / "absent") if probe.key == "disk_write_bytes_per_s"]
    readings, refused = run(probes)
    assert readings == {}
    assert refused["disk_write_bytes_per_s"].startswith("FileNotFoundError")


@pytest.mark.parametrize("probe", gpu_probes("cpu", side=64, array_bytes=1 << 20), ids=lambda probe: probe.key)
def test_the_probes_of_a_torch_device_run_on_any_device(probe):
    with ExitStack() as stack:
        assert measure(probe.setup(stack), probe.clock, 0.001, 1.0).amount > 0


def test_a_torch_without_cuda_leaves_a_gpu_unprobed_and_says_why():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    readings, refused = run(gpu_probes("cuda:0"))
    assert readings == {}
    assert all("no CUDA device" in reason for reason in refused.values())
    assert len(refused) == len(gpu_probes("cuda:0"))
