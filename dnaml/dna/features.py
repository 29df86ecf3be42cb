"""Features: a resource or a computation as one float32 row with NaN where nothing is known.

The layout is named and versioned (`SCHEMA`); models keep it with their weights and refuse rows of another one. Rates
and sizes are in log2; scaling to a training set belongs to the model. The keys below are the names that probes write
into `Resource.spec` and fingerprints into `Computation.demand`.
"""

import math
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dnaml.core.resource import Kind, Resource, ResourceState, Site, UnitType
from dnaml.core.work import Computation

Rows = npt.NDArray[np.float32]

SCHEMA = "dnaml-features-1"
"""name and version of the layout; a change of any field, order or scale is a new version"""

SPEC_KEYS = (
    "cores",
    "vector_bits",
    "clock_average_hz",
    "clock_boost_hz",
    "fp64_flop_per_s",
    "fp32_flop_per_s",
    "bf16_flop_per_s",
    "int8_op_per_s",
    "torch_fp64_flop_per_s",
    "torch_fp32_flop_per_s",
    "vector_exp_per_s",
    "sort_items_per_s",
    "hash_bytes_per_s",
    "python_ops_per_s",
    "sequential_bytes_per_s",
    "random_access_per_s",
    "cache_l2_bytes",
    "cache_l3_bytes",
    "disk_write_bytes_per_s",
    "network_bytes_per_s",
)
"""numbers of `Resource.spec` that become features, in log2"""

FIELD_KEYS = (
    "memory_bytes",
    "bandwidth_bytes_per_s",
    "latency_s",
    "startup_s",
    "power_w",
    "price_usd_per_h",
    "slots",
    "cpu_quota_share",
)
"""fields of `Resource` itself that become features, in log2"""

STATE_KEYS = ("load", "error_rate")
"""what the newest refresh says, as it is"""

SHARE_KEYS = (
    "cpu_share",
    "gpu_share",
    "parallel_share",
    "fp64_share",
    "fp32_share",
    "low_precision_share",
    "sequential_share",
    "random_share",
    "random_share_confidence",
)
"""demands in [0, 1]: busy share of a core or GPU, share that runs in parallel; precision mix of the arithmetic; shares
of the time that go to each kind of memory access, with how sure that is"""

AMOUNT_KEYS = (
    "parallelism",
    "flop",
    "fp64_flop",
    "fp32_flop",
    "low_precision_flop",
    "memory_traffic_bytes",
    "read_bytes",
    "written_bytes",
    "transferred_bytes",
    "working_set_bytes",
    "peak_memory_bytes",
    "checkpoint_bytes",
)
"""demands counted from 0 on, in log2(1 + x); parallelism is CPU seconds by wall seconds"""

NEED_KEYS = ("unit_need", "clock_need", "boost_need", "latency_need", "efficiency_need", "price_need", "safety_need")
"""demands in [0, 1] that nobody measures: authors may declare them"""

NAME_BUCKETS = 16

_KINDS, _SITES, _UNITS = tuple(Kind), tuple(Site), tuple(UnitType)

RESOURCE_COLUMNS = (
    *(f"kind_{kind.value}" for kind in _KINDS),
    *(f"site_{site.value}" for site in _SITES),
    *(f"unit_{unit.value}" for unit in _UNITS),
    *(f"log2_{key}" for key in SPEC_KEYS + FIELD_KEYS),
    *STATE_KEYS,
)
"""48 columns"""

COMPUTATION_COLUMNS = (
    *SHARE_KEYS,
    *(f"log2_{key}" for key in AMOUNT_KEYS),
    *NEED_KEYS,
    "log2_memory_bytes",
    "log2_input_bytes",
    "divisible",
    "checkpointable",
    *(f"name_{bucket}" for bucket in range(NAME_BUCKETS)),
)
"""48 columns"""


def resource_row(resource: Resource, state: ResourceState | None = None) -> Rows:
    """Return the features of a resource [F]; NaN where neither description nor refresh says anything."""
    price = None if state is None else state.price_usd_per_h
    fields = [getattr(resource, key) for key in FIELD_KEYS]
    if price is not None:
        fields[FIELD_KEYS.index("price_usd_per_h")] = price
    row = [
        *_one_hot(resource.kind, _KINDS),
        *_one_hot(resource.site, _SITES),
        *_one_hot(resource.unit_type, _UNITS),
        *(_log2(resource.spec.get(key)) for key in SPEC_KEYS),
        *(_log2(value) for value in fields),
        *(_number(getattr(state, key, None)) for key in STATE_KEYS),
    ]
    return np.array(row, dtype=np.float32)


def computation_row(computation: Computation) -> Rows:
    """Return the features of a computation [F]; NaN where the fingerprint measured and the author declared nothing."""
    demand = computation.demand
    row = [
        *(_number(demand.get(key)) for key in SHARE_KEYS),
        *(_log2_from_zero(demand.get(key)) for key in AMOUNT_KEYS),
        *(_number(demand.get(key)) for key in NEED_KEYS),
        _log2_from_zero(computation.memory_bytes),
        _log2_from_zero(computation.input_bytes),
        float(computation.divisible),
        float(computation.checkpointable),
        *_name_buckets(computation.kernel),
    ]
    return np.array(row, dtype=np.float32)


def _one_hot(value: object, choices: Sequence[object]) -> list[float]:
    """Return 1 at the value's place, or NaN everywhere where there is no value."""
    return [math.nan if value is None else float(value is choice) for choice in choices]


def _number(value: float | None) -> float:
    """Return the value, NaN where it is missing or infinite."""
    return math.nan if value is None or not math.isfinite(value) else float(value)


def _log2(value: float | None) -> float:
    """Return log2 of a positive number, NaN of anything else: a rate or size of 0 was not measured."""
    return math.log2(value) if value is not None and value > 0 else math.nan


def _log2_from_zero(value: float | None) -> float:
    """Return log2(1 + x) of a count, which may well be 0."""
    return math.log2(1.0 + value) if value is not None and value >= 0 else math.nan


def _name_buckets(kernel: str) -> list[float]:
    """Return how the name's letter triples fall into buckets, as shares: alike names look alike."""
    padded = f"^{kernel}$"
    counts = [0.0] * NAME_BUCKETS
    for start in range(max(1, len(padded) - 2)):
        counts[zlib.crc32(padded[start : start + 3].encode()) % NAME_BUCKETS] += 1.0
    return [count / sum(counts) for count in counts]
