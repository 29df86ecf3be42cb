"""Describes what a computation runs in: Python, platform, packages, the variables that change results, hardware.

Read once per process and named by its digest. Two are compared here, by name and version; `environment_build.py`
makes one anew. No variable that may hold a secret is read.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import msgspec

from dnaml.core.errors import CorruptError
from dnaml.execution.digests import mapping_digest, text_digest

VARIABLE_PREFIXES = (
    "OMP_", "MKL_", "OPENBLAS_", "BLIS_", "VECLIB_", "NUMEXPR_", "KMP_", "GOTO_", "NPY_", "ONEDNN_", "DNNL_", "CUDA_",
    "CUBLAS_", "CUDNN_", "NVIDIA_TF32", "TORCH_", "PYTORCH_", "HIP_", "ROCR_", "XLA_", "TF_CUDNN", "TF_DETERMINISTIC",
    "TF_XLA", "TF_ENABLE", "TF_NUM", "JAX_", "RAYON_",
)  # fmt: skip
SEED_VARIABLES = ("PYTHONHASHSEED", "DNAML_SEED", "PL_GLOBAL_SEED")
OTHER_VARIABLES = ("LANG", "LC_ALL", "TZ", "PYTHONPATH", "PYTHONOPTIMIZE", "LD_PRELOAD", "MALLOC_ARENA_MAX")
_SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "AUTH", "SIGNATURE")
LOCAL = "local:"  # opens the version of a package that was installed from a folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a computation ran in. A package installed from a folder has the version `local:<version>`."""

    python: str
    implementation: str
    platform: str
    machine: str
    packages: Mapping[str, str]
    variables: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, str] = field(default_factory=dict)
    hardware: str = ""

    @property
    def digest(self) -> str:
        """Return the SHA-256 that names this environment; hardware is told, but is not part of it."""
        told = (self.python, self.implementation, self.platform, self.machine)
        rest = (mapping_digest(self.packages), mapping_digest(self.variables), mapping_digest(self.seeds))
        return text_digest((*told, *rest))

    def to_json(self) -> bytes:
        """Return the environment as JSON; `environment_from_json` reads it back."""
        return msgspec.json.encode(self)


def environment_from_json(content: bytes) -> Environment:
    """Return the environment that `to_json` wrote; raise CorruptError if it is not one."""
    try:
        return msgspec.json.decode(content, type=Environment)
    except msgspec.MsgspecError as error:
        raise CorruptError(f"environment record: {error}") from error


@cache
def current_environment() -> Environment:
    """Return the environment of this process, read at the first call."""
    import platform  # here, because workers import this module and never ask

    return Environment(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        platform=f"{os.uname().sysname} {_libc()}".strip(),
        machine=os.uname().machine,
        packages=installed_packages(),
        variables=relevant_variables(os.environ),
        seeds={name: os.environ[name] for name in SEED_VARIABLES if name in os.environ},
        hardware=hardware_line(),
    )


@cache
def environment_digest() -> str:
    """Return the digest of this process's environment."""
    return current_environment().digest


def relevant_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are known to change results or speed, without any whose name smells of a secret."""
    return {
        name: value
        for name, value in sorted(variables.items())
        if (name.startswith(VARIABLE_PREFIXES) or name in OTHER_VARIABLES) and not any(s in name for s in _SECRET)
    }


def installed_packages(path: Iterable[str] | None = None) -> dict[str, str]:
    """Return name -> version of every package found on the path (default: this process's); the first found wins.

    Names and versions are read off the folders, which takes 1 ms where opening each record takes 100.
    """
    found: dict[str, str] = {}
    for folder in sys.path if path is None else path:
        for name, version in _packages_in(Path(folder or ".")):
            found.setdefault(name.lower().replace("_", "-").replace(".", "-"), version)
    return dict(sorted(found.items()))


def _packages_in(folder: Path) -> Iterator[tuple[str, str]]:
    try:
        records = sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith((".dist-info", ".egg-info")))
    except OSError:
        return
    for record in records:
        name, _, version = record.rpartition(".")[0].partition("-")
        if record.endswith(".egg-info"):  # left in a source folder by an editable install; older ones have no version
            version = LOCAL + (version.partition("-")[0] or _version_in(folder / record / "PKG-INFO"))
        elif _is_from_folder(folder / record / "direct_url.json"):
            version = LOCAL + version
        yield name, version


def _version_in(record: Path) -> str:
    try:
        lines = record.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("Version:")), "unknown")


def _is_from_folder(record: Path) -> bool:
    try:
        return '"file:' in record.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _libc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        return ""


def hardware_line() -> str:
    """Return one line that tells the hardware: processor, cores and memory."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{_processor()}; {os.cpu_count()} cores; {memory_bytes / 2**30:.0f} GiB"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return os.uname().machine


def named_differences(what: str, was: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return one line for each name whose text differs: `package numpy: 2.1.0 became 2.2.0`."""
    return [
        f"{what} {name}: {_brief(was.get(name, 'absent'))} became {_brief(now.get(name, 'absent'))}"
        for name in sorted(was.keys() | now.keys())
        if was.get(name) != now.get(name)
    ]


def verify(recorded: Environment) -> tuple[str, ...]:
    """Return what differs between a recorded environment and this process's, by name; empty if it is the same."""
    return tuple(environment_differences(recorded, current_environment()))


def environment_differences(was: Environment, now: Environment) -> list[str]:
    """Return what differs between two environments, by name and version; hardware is not compared."""
    told: list[str] = []
    for name in ("python", "implementation", "platform", "machine"):
        told += named_differences("environment", {name: getattr(was, name)}, {name: getattr(now, name)})
    told += named_differences("package", was.packages, now.packages)
    told += named_differences("variable", was.variables, now.variables)
    told += named_differences("seed", was.seeds, now.seeds)
    return told


def _brief(text: str) -> str:
    head, colon, digest = text.partition("sha256:")
    return f"{head}{colon}{digest[:12]}" if colon else text if len(text) != 64 else text[:12]
