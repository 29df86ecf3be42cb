"""The pool's members each have something and lack something, and their variables bite in real processes."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from dnaml.core.types import Kind, Site
from dnaml.demo.pool import EMULATION, MEMBERS, Host, Numpy, Switch, environment_of, local_pool
from dnaml.telemetry.profile import ONE_THREAD

X86 = Host(system="linux", machine="x86_64", numpy_features=("X86_V3", "X86_V4", "AVX512_ICL"))
OLDER_NUMPY = Host(system="linux", machine="x86_64", numpy_features=("SSE42", "AVX2", "AVX512F", "AVX512_SKX"))
ARM_MAC = Host(system="darwin", machine="arm64", numpy_features=("ASIMDHP",))
BY_ID = {member.id: member for member in MEMBERS}
CPU_FLAGS = set(Path("/proc/cpuinfo").read_text().split()) if Path("/proc/cpuinfo").exists() else set()
ON_X86_LINUX = pytest.mark.skipif(
    not (Host.here().system == "linux" and Host.here().machine == "x86_64"),
    reason="the switches are those of x86-64 Linux",
)


def in_process(member_id: str, code: str) -> str:
    """Return what code prints in a process with the environment of a member."""
    environment = {**os.environ, **ONE_THREAD, **environment_of(BY_ID[member_id], Host.here())}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_every_member_lacks_something_so_none_dominates() -> None:
    assert len(MEMBERS) >= 4
    for member in MEMBERS:
        for other in MEMBERS:
            if member is not other:
                assert member.has - other.has or member.numpy is not other.numpy
                assert not member.has >= other.has


def test_each_switch_is_on_in_two_members_so_that_one_teaches_about_the_other() -> None:
    for switch in Switch:
        assert sum(switch in member.has for member in MEMBERS) == 2
    assert {member.numpy for member in MEMBERS} == set(Numpy)


def test_a_member_says_what_it_has_and_what_it_lacks() -> None:
    said = BY_ID["tensor"].description
    assert said.startswith("this machine: numpy with AVX2, wide MKL")
    has, lacks = said.split("; but ")
    assert "oneDNN with matrix and bf16 units" in has
    assert lacks == "OpenBLAS held at SSE3, CPython on a checking allocator, OpenSSL without vector and SHA extensions"
    assert "times are real" in EMULATION


def test_what_a_member_lacks_is_switched_off_and_what_it_has_is_left_alone() -> None:
    assert environment_of(BY_ID["vector"], X86) == {
        "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OPENSSL_ia32cap": "0:0",
        "PYTHONMALLOC": "malloc_debug",
        "GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=17179869184"
        ":glibc.malloc.hugetlb=1:glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0",
    }
    assert environment_of(BY_ID["scalar"], X86) == {
        "OPENBLAS_CORETYPE": "Prescott",
        "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "NUMPY_MADVISE_HUGEPAGE": "0",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL",
        "GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=1048576:glibc.malloc.trim_threshold=4194304",
    }


def test_numpy_is_held_by_the_names_that_it_knows() -> None:
    def withheld(member_id: str, host: Host) -> str | None:
        return environment_of(BY_ID[member_id], host).get("NPY_DISABLE_CPU_FEATURES")

    assert withheld("classic", X86) is None
    assert withheld("matrix", X86) == "X86_V3 X86_V4 AVX512_ICL"
    assert withheld("scalar", OLDER_NUMPY) == "AVX512F AVX512_SKX"
    assert withheld("matrix", OLDER_NUMPY) == "SSE42 AVX2 AVX512F AVX512_SKX"


def test_elsewhere_only_the_switches_that_exist_there_are_set() -> None:
    assert environment_of(BY_ID["scalar"], ARM_MAC) == {}
    assert environment_of(BY_ID["matrix"], ARM_MAC) == {
        "PYTHONMALLOC": "malloc_debug",
        "NPY_DISABLE_CPU_FEATURES": "ASIMDHP",
    }


def test_the_pool_is_local_resources_of_one_domain_without_a_price_yet() -> None:
    pool = local_pool(domain="here")
    assert [resource.id for resource in pool] == [member.id for member in MEMBERS]
    for resource, member in zip(pool, MEMBERS, strict=True):
        assert (resource.kind, resource.site, resource.domain) == (Kind.CPU, Site.LOCAL, "here")
        assert resource.price_usd_per_h is None
        assert resource.environment == environment_of(member, Host.here())
        assert resource.description == member.description
    assert local_pool()[0].domain


@ON_X86_LINUX
def test_numpy_and_its_blas_obey() -> None:
    code = """
import json, os, numpy, threadpoolctl
from numpy._core._multiarray_umath import __cpu_features__ as features
cores = [i["architecture"] for i in threadpoolctl.threadpool_info() if i["internal_api"] == "openblas"]
withheld = os.environ.get("NPY_DISABLE_CPU_FEATURES", "").split()
print(json.dumps([cores, withheld, [name for name in withheld if features[name]]]))
"""
    oldest = {"Prescott", "Katmai"}  # the same kernels of OpenBLAS go by both names
    cores, withheld, used = json.loads(in_process("tensor", code))
    assert set(cores) <= oldest
    assert not used
    cores, withheld, used = json.loads(in_process("matrix", code))
    assert not oldest & set(cores)
    assert withheld
    assert not used


@ON_X86_LINUX
def test_a_member_whose_memory_is_given_back_faults_its_pages_in_again() -> None:
    code = """
import resource, numpy
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    numpy.ones(1 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    if "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""):
        pytest.skip("memory policies are those of glibc")
    assert int(in_process("scalar", code)) >= 20 * (8 << 20) // 4096
    assert int(in_process("vector", code)) < 5 * (8 << 20) // 4096


def cpu_ratio(slow_id: str, fast_id: str, kernel: str, size: int) -> float:
    """Return the CPU time of a kernel on one member over that on another, medians of 5 in fresh processes."""
    code = f"""
import time
from dnaml.demo.kernels import KERNELS
run = KERNELS[{kernel!r}].run
run({size})
for seed in range(5):
    began_s = time.process_time()
    run({size}, seed)
    print(time.process_time() - began_s)
"""
    slow_s, fast_s = (statistics.median(map(float, in_process(i, code).split())) for i in (slow_id, fast_id))
    return slow_s / fast_s


@ON_X86_LINUX
@pytest.mark.serial
@pytest.mark.parametrize(
    ("slow", "fast", "kernel", "size", "flag", "least"),
    [
        ("vector", "scalar", "hash_sha256", 24, "sha_ni", 2.0),
        ("vector", "tensor", "matmul_bf16", 700, "avx512_bf16", 3.0),
        ("tensor", "vector", "matmul_fp64", 600, "avx2", 1.5),
        ("scalar", "classic", "special_functions", 400, "avx512dq", 1.5),
        ("matrix", "tensor", "sort_fp64", 300_000, "avx2", 2.0),
        ("classic", "tensor", "stream_fp32", 1_000_000, "avx2", 2.0),
        ("vector", "scalar", "parse_table", 8_000, "avx2", 1.2),
    ],
)
def test_which_computation_suffers_differs_by_member(
    slow: str, fast: str, kernel: str, size: int, flag: str, least: float
) -> None:
    if flag not in CPU_FLAGS:
        pytest.skip(f"this processor has no {flag}")
    assert cpu_ratio(slow, fast, kernel, size) >= least
