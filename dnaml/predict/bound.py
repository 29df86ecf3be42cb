"""Physical bounds: no run is faster than its work divided by the peak of the machine, axis by axis.

The soft maximum over the axes that are known on both sides (`p = 4`) stands in for imperfect overlap. It also gives a
first guess of relative speed where nothing has run. Numpy only; not a learned model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

POWER = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Pairs an amount of work with the rate that serves it; compute axes speed up with the units that work together."""

    demand: str
    supply: str
    compute: bool = False


AXES: tuple[Axis, ...] = (
    Axis(demand="fp64_flop", supply="fp64_flop_per_s", compute=True),
    Axis(demand="fp32_flop", supply="fp32_flop_per_s", compute=True),
    Axis(demand="fp16_flop", supply="fp16_flop_per_s", compute=True),
    Axis(demand="bf16_flop", supply="bf16_flop_per_s", compute=True),
    Axis(demand="int8_op", supply="int8_op_per_s", compute=True),
    Axis(demand="memory_traffic_bytes", supply="memory_bandwidth_bytes_per_s"),
    Axis(demand="random_access", supply="random_access_per_s"),
    Axis(demand="io_bytes", supply="disk_bandwidth_bytes_per_s"),
    Axis(demand="net_bytes", supply="net_bandwidth_bytes_per_s"),
)

# Any rate of a machine says something about its speed; the references keep resources with other keys comparable.
_REFERENCE: tuple[tuple[str, float, float], ...] = (
    ("flop_per_s", 2e10, 1.0),
    ("op_per_s", 2e10, 1.0),
    ("access_per_s", 1e8, 1.0),
    ("bytes_per_s", 5e9, 1.0),
    ("clock_average_hz", 2.5e9, 1.0),
    ("access_latency_s", 1e-7, -1.0),
)


def bound_s(
    demand: Mapping[str, float], spec: Mapping[str, float], *, startup_s: float = 0.0, units: int = 1
) -> float | None:
    """Return the least seconds that a run with this demand takes on a machine with this spec.

    `B = startup + (sum_j b_j^p)^(1/p)` over the axes known on both sides; compute axes take Amdahl's
    `(1 - a) + a / units` with `a = demand["parallel_share"]`. None when no axis is known on both sides.
    """
    parallel = min(max(demand.get("parallel_share", 0.0), 0.0), 1.0)
    amdahl = (1.0 - parallel) + parallel / units
    total = 0.0
    for axis in AXES:
        work, rate = demand.get(axis.demand), spec.get(axis.supply)
        if work is None or rate is None or not work > 0 or not rate > 0:
            continue
        total += (work / rate * (amdahl if axis.compute else 1.0)) ** POWER
    return startup_s + float(total ** (1 / POWER)) if total > 0 else None


def bounds_s(demand: Mapping[str, float], specs: Sequence[Mapping[str, float]]) -> FloatArray:
    """Return the bound [R] of one computation on each machine, NaN where no axis is known on both sides."""
    values = [bound_s(demand, spec) for spec in specs]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def log_speed(spec: Mapping[str, float]) -> float:
    """Return a guess of ln(speed) against a fixed reference machine: the mean log of its known rates, 0 when none is.

    It depends on nothing but the spec, so one more resource in a pool does not move the others.
    """
    scores = []
    for name, value in spec.items():
        for suffix, reference, sign in _REFERENCE:
            if name.endswith(suffix) and value > 0:
                scores.append(sign * log(value / reference))
                break
    return float(np.clip(np.mean(scores), -7.0, 7.0)) if scores else 0.0
