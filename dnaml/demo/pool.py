"""Local resources that really differ, made of one machine without privileges: by environment variables of its workers.

Each variable is a documented switch of a library (OpenBLAS, MKL, oneDNN, numpy, OpenSSL, glibc, CPython) that takes
away an instruction set or a memory policy. The work and its times are real; that the resources are machines of their
own is what is emulated. Every resource lacks something, so none dominates. A switch that a machine or library does
not know is ignored by it: there the resources differ less, and their probes show it.
"""

import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from dnaml.core.types import Resource, Site

EMULATION = (
    "All local resources are this machine: the times are real, and what makes them differ are switches of the"
    " libraries in their worker processes, which take instruction sets and memory policies away."
)
"""what is emulated and what is real, to be said wherever the pool is shown"""


class Numpy(Enum):
    """Is the widest instruction set that numpy's own loops may use."""

    AVX512 = "numpy with AVX-512"  # vector special functions; on some processors a slow sort
    AVX2 = "numpy with AVX2"  # a fast sort and special functions one by one
    BASELINE = "numpy without vector extensions"


class Switch(Enum):
    """Is something that a resource may lack; the value names it when it is there and when it is not."""

    BLAS = ("wide OpenBLAS", "OpenBLAS held at SSE3")
    MKL = ("wide MKL", "MKL held at SSE2")
    MATRIX = ("oneDNN with matrix and bf16 units", "oneDNN held at SSE4.1")
    MEMORY = ("memory kept and in huge pages", "memory given back after each use, in small pages")
    PYTHON = ("CPython's fast allocator", "CPython on a checking allocator")
    HASHING = ("OpenSSL with SHA extensions", "OpenSSL without vector and SHA extensions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One resource of the pool: what it has, and by that what it lacks."""

    id: str
    numpy: Numpy
    has: frozenset[Switch]

    @property
    def description(self) -> str:
        """Say in one line what this resource has and lacks."""
        held = [switch.value[0] for switch in Switch if switch in self.has]
        lacking = [switch.value[1] for switch in Switch if switch not in self.has]
        return f"this machine: {', '.join([self.numpy.value, *held])}; but {', '.join(lacking)}"


MEMBERS: Sequence[Member] = (
    Member(id="tensor", numpy=Numpy.AVX2, has=frozenset({Switch.MKL, Switch.MATRIX, Switch.MEMORY})),
    Member(id="vector", numpy=Numpy.AVX512, has=frozenset({Switch.BLAS, Switch.MEMORY})),
    Member(id="scalar", numpy=Numpy.AVX2, has=frozenset({Switch.PYTHON, Switch.HASHING})),
    Member(id="matrix", numpy=Numpy.BASELINE, has=frozenset({Switch.BLAS, Switch.MATRIX, Switch.HASHING})),
    Member(id="classic", numpy=Numpy.AVX512, has=frozenset({Switch.MKL, Switch.PYTHON})),
)
"""five resources; each switch is on in two of them, so what one teaches about a computation holds for another"""

_LACKING: Mapping[Switch, Mapping[str, str]] = {
    Switch.BLAS: {"OPENBLAS_CORETYPE": "Prescott"},
    Switch.MKL: {"MKL_CBWR": "COMPATIBLE"},
    Switch.MATRIX: {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    Switch.HASHING: {"OPENSSL_ia32cap": "0:0"},
    Switch.MEMORY: {"NUMPY_MADVISE_HUGEPAGE": "0"},
    Switch.PYTHON: {"PYTHONMALLOC": "malloc_debug"},
}

_KEEP_MEMORY = (
    "glibc.malloc.mmap_threshold=4294967296",
    "glibc.malloc.trim_threshold=17179869184",
    "glibc.malloc.hugetlb=1",
)
_RETURN_MEMORY = ("glibc.malloc.mmap_threshold=1048576", "glibc.malloc.trim_threshold=4194304")
_SLOW_SMALL_OBJECTS = ("glibc.malloc.tcache_count=0", "glibc.malloc.mxfast=0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What decides which switches exist: the platform, and the CPU features that numpy uses beyond its baseline."""

    system: str
    machine: str
    numpy_features: tuple[str, ...]

    @classmethod
    def here(cls) -> "Host":
        """Return this machine."""
        import numpy as np

        config: Any = np.show_config(mode="dicts")  # Any: numpy says Optional, which holds for its other mode only
        found = config.get("SIMD Extensions", {}).get("found", ())
        return cls(system=sys.platform, machine=platform.machine(), numpy_features=tuple(found))


def environment_of(member: Member, host: Host) -> dict[str, str]:
    """Return the variables that make a worker process on a host this member; off x86-64 Linux there are fewer."""
    environment: dict[str, str] = {}
    x86_linux = host.system == "linux" and host.machine in ("x86_64", "AMD64")
    for switch in Switch:
        if switch not in member.has and (x86_linux or switch is Switch.PYTHON):
            environment.update(_LACKING[switch])
    if withheld := _withheld(member.numpy, host.numpy_features):
        environment["NPY_DISABLE_CPU_FEATURES"] = " ".join(withheld)
    if host.system == "linux":
        memory = _KEEP_MEMORY if Switch.MEMORY in member.has else _RETURN_MEMORY
        objects = () if Switch.PYTHON in member.has else _SLOW_SMALL_OBJECTS
        environment["GLIBC_TUNABLES"] = ":".join(memory + objects)
    return environment


def _withheld(level: Numpy, features: Iterable[str]) -> list[str]:
    """Return the features to disable so that numpy stays at a level; before 2.4 it names them by instruction set."""
    if level is Numpy.AVX512:
        return []
    return [name for name in features if level is Numpy.BASELINE or name.startswith(("X86_V4", "AVX512"))]


def local_pool(domain: str | None = None) -> tuple[Resource, ...]:
    """Return the pool as resources without price and probes yet: profile them, then price them by their scores.

    They share one `domain`, this machine: they share its cores, and fail together.
    """
    host = Host.here()
    return tuple(
        Resource(
            id=member.id,
            site=Site.LOCAL,
            domain=domain or platform.node() or "local",
            environment=environment_of(member, host),
            description=member.description,
            labels={"pool": "demo"},
        )
        for member in MEMBERS
    )
