"""Where work can run: a resource as declared or measured, and what of it changes by the minute."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from dnaml.core.errors import InputError


class Kind(Enum):
    """Is the family of hardware; a computation may allow only some."""

    CPU = "cpu"
    GPU = "gpu"
    FPGA = "fpga"
    ASIC = "asic"


class Site(Enum):
    """Is where a resource stands, seen from the control node."""

    LOCAL = "local"  # this machine
    ON_PREM = "on_prem"  # another machine of the owner
    CLOUD = "cloud"  # rented by the hour
    SERVERLESS = "serverless"  # rented by the call


class UnitType(Enum):
    """Is the widest arithmetic unit of a resource."""

    SCALAR = "scalar"  # no vector unit that libraries may use
    SSE = "sse"  # 128-bit vectors
    AVX2 = "avx2"  # 256-bit vectors
    AVX512 = "avx512"  # 512-bit vectors
    AMX = "amx"  # CPU matrix tiles
    NEON = "neon"  # ARM vectors
    CUDA_CORE = "cuda_core"  # GPU without matrix units
    TENSOR_CORE = "tensor_core"  # GPU with matrix units
    FPGA_FABRIC = "fpga_fabric"  # reconfigurable logic
    MATRIX_ASIC = "matrix_asic"  # fixed matrix engine (TPU, NPU, Inferentia, ...)


_POSITIVE = ("memory_bytes", "bandwidth_bytes_per_s")
_NON_NEGATIVE = ("price_usd_per_h", "startup_s", "latency_s", "power_w")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A place where work can run; a field that nobody measured or declared is None, never zero.

    `domain` names what fails together (a host, a zone); resources of one domain on this machine share its cores.
    `spec` holds every other measured or declared number, unit at the end of its name (`fp64_flop_per_s`,
    `clock_average_hz`, ...); DNA is made from it. `environment` is set in worker processes of a local resource.

    >>> import dnaml
    >>> dnaml.Resource(id="gpu0", price_usd_per_h=1.2, spec={"fp32_flop_per_s": 1.9e13}).memory_bytes is None
    True
    """

    id: str
    kind: Kind = Kind.CPU
    site: Site = Site.LOCAL
    unit_type: UnitType | None = None
    domain: str = "local"
    slots: int = 1
    memory_bytes: int | None = None
    price_usd_per_h: float | None = None
    price_date: str | None = None
    startup_s: float | None = None
    latency_s: float | None = None
    bandwidth_bytes_per_s: float | None = None
    power_w: float | None = None
    spec: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    cpu_quota_share: float | None = None
    description: str = ""

    def __post_init__(self) -> None:
        """Raise InputError on a value that no resource can have."""
        if not self.id or not self.id.isprintable():
            raise InputError(f"resource id must be printable text, got {self.id!r}")
        if self.slots < 1:
            raise InputError(f"{self.id}: slots must be at least 1, got {self.slots}")
        for name in _POSITIVE + _NON_NEGATIVE:
            value = getattr(self, name)
            if value is not None:
                self._check(name, value)
        for name, value in self.spec.items():
            if not math.isfinite(value):
                raise InputError(f"{self.id}: spec {name} must be finite, got {value}")
        if self.cpu_quota_share is not None and not self.cpu_quota_share > 0:
            raise InputError(f"{self.id}: cpu_quota_share must be positive, got {self.cpu_quota_share}")

    def carries(self, wanted: Mapping[str, str]) -> bool:
        """Say whether it has each wanted label; a wanted value after `!` is one that it must not have.

        >>> import dnaml
        >>> dnaml.Resource(id="gpu0", labels={"zone": "a"}).carries({"zone": "a", "tenant": "!other"})
        True
        """
        return all(
            self.labels.get(key) != value[1:] if value.startswith("!") else self.labels.get(key) == value
            for key, value in wanted.items()
        )

    def _check(self, name: str, value: float) -> None:
        if not math.isfinite(value) or value < 0:
            raise InputError(f"{self.id}: {name} must be finite and not negative, got {value}")
        if name in _POSITIVE and value == 0:
            raise InputError(f"{self.id}: {name} must be positive, got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceState:
    """What changes about a resource between two refreshes (every 300 s by default); None where not measured.

    `load` is busy share of its cores in [0, 1]; `contention` is wall over CPU time of a short probe, 1 when alone;
    `error_rate` is the share of ended attempts that the resource lost, from the journal.
    """

    resource_id: str
    at_s: float
    available: bool = True
    load: float | None = None
    contention: float | None = None
    temperature_c: float | None = None
    free_memory_bytes: int | None = None
    error_rate: float | None = None
    price_usd_per_h: float | None = None
