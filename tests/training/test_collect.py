"""Telemetry is collected by real runs on resources that really differ, and its card says what was done."""

import numpy as np
import pytest

from dnaml.datasets.data_card import card_of
from dnaml.datasets.table import load_runs
from dnaml.demo.kernels import KERNELS
from dnaml.demo.pool import Host
from training.collect import Config, computations_of, draw_pool, environment_at, main

X86 = Host(system="linux", machine="x86_64", numpy_features=("X86_V3", "X86_V4", "AVX512_ICL"))


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    out = tmp_path_factory.mktemp("telemetry")
    config = Config(out=str(out), resources=2, at_once=1, kernels=1, sizes=2, share=1.0, repeats=1)
    assert main(config) == 0
    return out


@pytest.mark.soak
@pytest.mark.serial
def test_every_cell_is_a_run_with_telemetry_and_probes(collected):
    frame = load_runs(collected / "runs.parquet").frame
    assert len(frame) == 2 * 1 * 2
    assert frame["resource_id"].nunique() == 2
    assert (frame["runtime_s"] > 0.001).all()
    assert frame["t_cpu_user_s"].notna().all()
    assert frame["r_fp64_flop_per_s"].notna().all()
    assert frame["c_cpu_share"].between(0, 1).all()
    assert not frame[["failed", "censored"]].any(axis=None)
    assert set(frame["c_kernel"]) == set(list(KERNELS)[:1])


@pytest.mark.soak
@pytest.mark.serial
def test_the_card_says_what_the_table_holds(collected):
    card = (collected / "CARD.md").read_text()
    assert "| runs | 4 of 4 pairs; 0 failed, 0 censored |" in card
    assert "load was" in card
    assert "| local-00 | as it is |" in card
    assert card_of(load_runs(collected / "runs.parquet")).rows == 4


def test_the_first_resource_is_the_machine_as_it_is_and_all_differ():
    pool = draw_pool(12, seed=0)
    assert len({frozenset(one.environment.items()) for one in pool}) == 12
    assert len({one.id for one in pool}) == 12
    assert draw_pool(12, seed=0) == pool
    assert draw_pool(12, seed=1)[1:] != pool[1:]


def test_the_newest_machine_holds_nothing_back_and_the_oldest_everything():
    newest, oldest = environment_at(0.0, X86, None), environment_at(1.0, X86, None)
    assert set(newest) == {"GLIBC_TUNABLES"}
    assert {"OPENBLAS_CORETYPE", "MKL_CBWR", "ONEDNN_MAX_CPU_ISA", "NPY_DISABLE_CPU_FEATURES"} <= set(oldest)
    assert oldest["ONEDNN_MAX_CPU_ISA"] == "SSE41"


def test_libraries_scatter_around_the_age_of_their_machine():
    rng = np.random.default_rng(0)

    def held(age):
        return float(np.mean([len(environment_at(age, X86, rng)) for _ in range(40)]))

    assert held(0.1) < held(0.5) < held(0.9)
    assert len({frozenset(environment_at(0.5, X86, rng).items()) for _ in range(40)}) > 20


def test_off_x86_linux_only_what_exists_there_is_set():
    other = Host(system="darwin", machine="arm64", numpy_features=())
    assert set(environment_at(1.0, other, None)) <= {"PYTHONMALLOC"}


@pytest.mark.parametrize("name", KERNELS)
def test_sizes_rise_from_a_little_below_the_smallest_to_the_largest(name):
    kernel = KERNELS[name]
    found = computations_of(kernel, {"cpu_share": 0.9, "flop": 1.0}, Config(sizes=6))
    sizes = [one.size["size"] for one in found]
    assert sizes == sorted(set(sizes))
    assert sizes[0] < kernel.sizes[0]
    assert sizes[-1] == kernel.sizes[2]
    assert all(one.demand["cpu_share"] == 0.9 for one in found)
    if kernel.flop is not None:
        assert found[-1].demand["flop"] == kernel.flop(kernel.sizes[2])
