"""The interpretable slots of both DNAs, and matching by them.

Slot i of a resource says how much of axis i it supplies, in [0, 1] on a fixed log2 scale where more is better (cheap
and quick to reach count as much); slot i of a computation says which share of its demand lies on that axis. NaN means
unknown, never zero. Slots 16-31 are NaN until a learned space fills them (`learned.py`); `match` prefers them then.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from dnaml.core.dna import DNA_LENGTH, RAW_SLOTS, ComputationDNA, ResourceDNA, Vector
from dnaml.core.errors import InputError
from dnaml.core.resource import Resource, ResourceState, UnitType
from dnaml.core.work import Computation
from dnaml.dna.geometry import LEARNED, learned_angles, learned_version, one_version, raw_version

FloatArray = npt.NDArray[np.float64]

VERSION = "raw-1"
"""version of the slots, their order and their bounds"""

SLOTS = (
    "unit_class",
    "clock_average",
    "boost_ratio",
    "parallel_width",
    "fp64",
    "fp32",
    "low_precision",
    "sequential_bandwidth",
    "random_access",
    "memory_size",
    "io_rate",
    "network_rate",
    "control_latency",
    "performance_per_watt",
    "price",
    "reliability",
)
"""the 16 interpretable axes"""

BOUNDS: Mapping[str, tuple[float, float]] = {
    "clock_average": (2.5e8, 8e9),  # Hz
    "boost_ratio": (1.0, 4.0),
    "parallel_width": (1.0, 2.0**17),  # cores
    "fp64": (1e8, 1e15),  # flop/s
    "fp32": (1e8, 1e16),
    "low_precision": (1e8, 1e17),
    "sequential_bandwidth": (1e8, 1e13),  # bytes/s
    "random_access": (1e5, 1e11),  # accesses/s
    "memory_size": (2.0**26, 2.0**42),  # bytes
    "io_rate": (1e6, 1e11),  # bytes/s
    "network_rate": (1e5, 1e12),  # bytes/s
    "control_latency": (1e-6, 1e1),  # s, less is better
    "performance_per_watt": (1e6, 1e13),  # fp32 flop/s per W
    "price": (1e-4, 1e3),  # USD/h, less is better
}
"""ends of each axis, kept with the version: one resource more must not move the others"""

UNIT_CLASS: Mapping[UnitType, float] = {
    UnitType.SCALAR: 0.0,
    UnitType.SSE: 0.2,
    UnitType.NEON: 0.2,
    UnitType.AVX2: 0.4,
    UnitType.AVX512: 0.5,
    UnitType.AMX: 0.7,
    UnitType.FPGA_FABRIC: 0.7,
    UnitType.CUDA_CORE: 0.8,
    UnitType.TENSOR_CORE: 0.9,
    UnitType.MATRIX_ASIC: 1.0,
}
"""how much arithmetic an instruction of each unit does, by eye"""

_LESS_IS_BETTER = frozenset({"control_latency", "price"})
# Rates of one core of a common server of 2023: they turn amounts of work into comparable times.
_REFERENCE_FLOP_PER_S = {"fp64": 4e10, "fp32": 8e10, "low_precision": 1.6e11}
_REFERENCE_IO_BYTES_PER_S = 5e8
_REFERENCE_NETWORK_BYTES_PER_S = 1e9
_DECLARED = {
    "unit_class": "unit_need",
    "clock_average": "clock_need",
    "boost_ratio": "boost_need",
    "control_latency": "latency_need",
    "performance_per_watt": "efficiency_need",
    "price": "price_need",
    "reliability": "safety_need",
}


class Metric(Enum):
    """Is how two DNAs are compared over the slots known on both sides."""

    COSINE = "cosine"  # the angle: same mix of axes, however large
    EUCLIDEAN = "euclidean"  # the distance, the computation's largest demand put at full supply


class Part(Enum):
    """Is which half of the vectors a match compared."""

    RAW = "raw"  # slots 0-15: the mix of what is supplied and demanded
    LEARNED = "learned"  # slots 16-31: the order of predicted time and cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One resource and how well it suits: similarity up to 1, distance from 0 up, slots known on both sides.

    Similarity starts at 0, but for the cosine of learned slots, which starts at -1.
    """

    resource_id: str
    similarity: float
    distance: float
    shared_slots: int
    version: str = VERSION
    part: Part = Part.RAW


def resource_dna(resource: Resource, state: ResourceState | None = None, *, runs: int = 0) -> ResourceDNA:
    """Return what a resource supplies; `state` brings price and error rate of the moment."""
    supply = {name: _scaled(name, value) for name, value in _supplies(resource, state).items()}
    supply["unit_class"] = None if resource.unit_type is None else UNIT_CLASS[resource.unit_type]
    error_rate = None if state is None else state.error_rate
    supply["reliability"] = None if error_rate is None else min(max(1.0 - error_rate, 0.0), 1.0)
    at_s = 0.0 if state is None else state.at_s
    return ResourceDNA(owner_id=resource.id, vector=_vector(supply), version=VERSION, runs=runs, at_s=at_s)


def computation_dna(computation: Computation, *, runs: int = 0) -> ComputationDNA:
    """Return what a computation demands: shares that sum to 1 over the axes that are known."""
    demand = {**_time_shares(computation), **_needs(computation)}
    known = {name: value for name, value in demand.items() if value is not None}
    total = sum(known.values())
    shares = {name: value / total for name, value in known.items()} if total > 0 else {}
    return ComputationDNA(owner_id=computation.id, vector=_vector(shares), version=VERSION, runs=runs)


def similarity(
    computations: Sequence[ComputationDNA], resources: Sequence[ResourceDNA], metric: Metric | str = Metric.COSINE
) -> FloatArray:
    """Return similarities [C, R] in [0, 1] over the raw slots; 0 where no slot is known on both sides.

    Cosine is the cosine; Euclidean is 1 / (1 + distance). Raises DnaVersionError when versions differ.
    """
    chosen = _metric(metric)
    return _score(*_compared(computations, resources), chosen)


def similarities(
    computations: Sequence[Computation], resources: Sequence[Resource], metric: Metric | str = Metric.COSINE
) -> FloatArray:
    """Return similarities [C, R] of what computations demand and resources supply: what `Problem.similarity` holds."""
    return similarity([computation_dna(c) for c in computations], [resource_dna(r) for r in resources], metric)


def match(
    computation: Computation | ComputationDNA,
    resources: Sequence[Resource | ResourceDNA],
    metric: str = "cosine",
    k: int = 5,
) -> tuple[Match, ...]:
    """Return the k resources whose DNA suits a computation best, best first; `part` of each says what was compared.

    Vectors that all carry learned slots of one version are compared by these: the order is that of predicted time and
    cost under either metric. Else the raw slots decide. Raises DnaVersionError when versions differ.

    >>> import dnaml
    >>> job = dnaml.Computation(id="sum", kernel="sum", demand={"sequential_share": 1.0, "flop": 0.0})
    >>> slow = dnaml.Resource(id="slow", spec={"sequential_bytes_per_s": 1e9, "fp64_flop_per_s": 1e14})
    >>> quick = dnaml.Resource(id="quick", spec={"sequential_bytes_per_s": 1e12, "fp64_flop_per_s": 1e9})
    >>> [found.resource_id for found in dnaml.match(job, [slow, quick])]
    ['quick', 'slow']
    """
    if k < 1:
        raise InputError(f"match: k must be at least 1, got {k}")
    chosen = _metric(metric)
    wanted = computation if isinstance(computation, ComputationDNA) else computation_dna(computation)
    offered = [resource if isinstance(resource, ResourceDNA) else resource_dna(resource) for resource in resources]
    part = Part.LEARNED if _all_learned([wanted, *offered]) else Part.RAW
    if part is Part.LEARNED:
        rows = np.array([dna.vector for dna in offered], dtype=np.float64).reshape(len(offered), DNA_LENGTH)
        cosine, distance = learned_angles(wanted.vector.astype(np.float64), rows)
        order, shared = np.argsort(-cosine, kind="stable"), np.full(len(offered), DNA_LENGTH - RAW_SLOTS)
    else:
        cosine, distance, shared = (values[0] for values in _compared([wanted], offered))
        order = np.argsort(-_score(cosine, distance, shared, chosen), kind="stable")
    score = _score(cosine, distance, shared, chosen)
    return tuple(
        Match(
            resource_id=offered[r].owner_id,
            similarity=float(score[r]),
            distance=float(distance[r]),
            shared_slots=int(shared[r]),
            version=wanted.version,
            part=part,
        )
        for r in order[:k]
    )


def _all_learned(dnas: Sequence[ComputationDNA | ResourceDNA]) -> bool:
    """Say whether all vectors carry learned slots; raise DnaVersionError when two versions of either half meet."""
    versions = {learned_version(dna.version) for dna in dnas}
    one_version({version for version in versions if version is not None})
    one_version({raw_version(dna.version) for dna in dnas})
    return None not in versions and all(bool(np.isfinite(dna.vector[LEARNED]).all()) for dna in dnas)


def _score(cosine: FloatArray, distance: FloatArray, shared: FloatArray, metric: Metric) -> FloatArray:
    """Return similarities [...]: the cosine or 1 / (1 + distance), 0 where no slot is known on both sides."""
    return np.where(shared > 0, cosine if metric is Metric.COSINE else 1.0 / (1.0 + distance), 0.0)


def _metric(metric: Metric | str) -> Metric:
    try:
        return Metric(metric)
    except ValueError:
        names = ", ".join(known.value for known in Metric)
        raise InputError(f"metric must be one of {names}, got {metric!r}") from None


def _compared(
    computations: Sequence[ComputationDNA], resources: Sequence[ResourceDNA]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return cosine, root-mean-square distance and number of slots known on both sides, each [C, R]."""
    one_version({raw_version(dna.version) for dna in (*computations, *resources)})
    demand, wanted = _stacked(computations)
    supply, offered = _stacked(resources)
    shared = wanted @ offered.T  # [C, R]
    dot, demand_square, supply_square = demand @ supply.T, (demand**2) @ offered.T, wanted @ (supply**2).T
    norms = np.sqrt(demand_square * supply_square)
    cosine = np.divide(dot, norms, out=np.zeros_like(dot), where=norms > 0)
    largest = demand.max(axis=1, keepdims=True, initial=0.0)
    scale = np.divide(1.0, largest, out=np.zeros_like(largest), where=largest > 0)  # [C, 1]
    square = np.maximum(scale**2 * demand_square + supply_square - 2.0 * scale * dot, 0.0)
    distance = np.sqrt(np.divide(square, shared, out=np.full_like(square, np.inf), where=shared > 0))
    return np.minimum(cosine, 1.0), distance, shared


def _stacked(dnas: Sequence[ComputationDNA] | Sequence[ResourceDNA]) -> tuple[FloatArray, FloatArray]:
    """Return the raw slots [N, 16] with zeros where unknown, and the mask as numbers."""
    rows = np.array([dna.vector[:RAW_SLOTS] for dna in dnas], dtype=np.float64).reshape(len(dnas), RAW_SLOTS)
    known = ~np.isnan(rows)
    return np.where(known, rows, 0.0), known.astype(np.float64)


def _vector(slots: Mapping[str, float | None]) -> Vector:
    vector = np.full(DNA_LENGTH, np.nan, dtype=np.float32)
    for name, value in slots.items():
        if value is not None:
            vector[SLOTS.index(name)] = value
    return vector


def _scaled(name: str, value: float | None) -> float | None:
    """Return a quantity's place in [0, 1] between the bounds of its axis, in log2; better is higher."""
    if value is None or not math.isfinite(value) or value < 0 or (value == 0 and name not in _LESS_IS_BETTER):
        return None
    low, high = BOUNDS[name]
    place = math.log2(min(max(value, low), high) / low) / math.log2(high / low)
    return 1.0 - place if name in _LESS_IS_BETTER else place


def _supplies(resource: Resource, state: ResourceState | None) -> dict[str, float | None]:
    """Return the quantity behind each slot with bounds, None where it is unknown."""
    spec = resource.spec
    average, boost = spec.get("clock_average_hz"), spec.get("clock_boost_hz")
    fp32 = spec.get("fp32_flop_per_s")
    low = [spec[key] for key in ("bf16_flop_per_s", "int8_op_per_s") if key in spec]
    price = None if state is None else state.price_usd_per_h
    return {
        "clock_average": average,
        "boost_ratio": boost / average if boost and average else None,
        "parallel_width": spec.get("cores", float(resource.slots)),
        "fp64": spec.get("fp64_flop_per_s"),
        "fp32": fp32,
        "low_precision": max(low, default=None),
        "sequential_bandwidth": spec.get("sequential_bytes_per_s"),
        "random_access": spec.get("random_access_per_s"),
        "memory_size": resource.memory_bytes,
        "io_rate": spec.get("disk_write_bytes_per_s"),
        "network_rate": spec.get("network_bytes_per_s", resource.bandwidth_bytes_per_s),
        "control_latency": resource.latency_s,
        "performance_per_watt": fp32 / resource.power_w if fp32 and resource.power_w else None,
        "price": resource.price_usd_per_h if price is None else price,
    }


def _time_shares(computation: Computation) -> dict[str, float | None]:
    """Return how a run's time divides over arithmetic, memory access, storage and network, as far as known.

    Sequential and random share are shares of the whole time. What they leave is divided by amounts of work, each turned
    into time at one reference core; where the flops are not known, by the busy share of the processor.
    """
    demand = computation.demand
    memory = {"sequential_bandwidth": demand.get("sequential_share"), "random_access": demand.get("random_share")}
    left = max(0.0, 1.0 - sum(share or 0.0 for share in memory.values()))
    arithmetic = {name: _arithmetic_s(demand, name) for name in _REFERENCE_FLOP_PER_S}
    moving = _moving_s(demand)
    if any(seconds is not None for seconds in arithmetic.values()):
        return {**memory, **_divided(left, {**arithmetic, **moving})}
    busy = demand.get("cpu_share", 1.0)
    mix = {name: demand.get(f"{name}_share") for name in _REFERENCE_FLOP_PER_S}
    computed = {name: None if share is None else left * busy * share for name, share in mix.items()}
    return {**memory, **computed, **_divided(left * (1.0 - busy), moving)}


def _divided(whole: float, amounts: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return a whole divided in proportion to the known amounts; unknown ones stay unknown."""
    total = sum(amount or 0.0 for amount in amounts.values())
    return {
        name: None if amount is None else (whole * amount / total if total > 0 else 0.0)
        for name, amount in amounts.items()
    }


def _arithmetic_s(demand: Mapping[str, float], precision: str) -> float | None:
    """Return the reference seconds of one precision; a computation without any flop needs no mix to be known."""
    flop, share = demand.get("flop"), demand.get(f"{precision}_share")
    mixed = 0.0 if flop == 0 else None if flop is None or share is None else flop * share
    own = demand.get(f"{precision}_flop", mixed)
    return None if own is None else own / _REFERENCE_FLOP_PER_S[precision]


def _moving_s(demand: Mapping[str, float]) -> dict[str, float | None]:
    """Return the reference seconds of storage and network."""
    moved = [demand[key] for key in ("read_bytes", "written_bytes") if key in demand]
    transferred = demand.get("transferred_bytes")
    return {
        "io_rate": sum(moved) / _REFERENCE_IO_BYTES_PER_S if moved else None,
        "network_rate": None if transferred is None else transferred / _REFERENCE_NETWORK_BYTES_PER_S,
    }


def _needs(computation: Computation) -> dict[str, float | None]:
    """Return the demands in [0, 1] that are no part of the time: width, memory, and what the author declared."""
    demand = computation.demand
    needs: dict[str, float | None] = {name: demand.get(key) for name, key in _DECLARED.items()}
    parallelism = demand.get("parallelism")
    spread = demand.get("parallel_share", None if parallelism is None else 1.0 - 1.0 / max(1.0, parallelism))
    if spread is not None:
        needs["parallel_width"] = spread
        if needs["clock_average"] is None:
            needs["clock_average"] = 1.0 - spread  # what one core does alone follows its clock
    if needs["unit_class"] is None:
        needs["unit_class"] = demand.get("gpu_share")
    memory_bytes = demand.get("peak_memory_bytes", computation.memory_bytes)
    if memory_bytes is not None:
        needs["memory_size"] = _scaled("memory_size", max(memory_bytes, BOUNDS["memory_size"][0]))
    return needs
