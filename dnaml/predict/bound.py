"""Physical bounds: no run is faster than its work divided by the peak of the machine, axis by axis.

The soft maximum over the axes that are known on both sides (`p = 4`) stands in for imperfect overlap. The rates of a
machine also give a first guess of its relative speed where nothing has run. Numpy only; nothing here is learned.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dnaml.core.reference import CORE_RATES

FloatArray = npt.NDArray[np.float64]

POWER = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Pairs amounts of work with the rates that can serve them: the first known demand, the highest known supply.

    `share` names the part of `flop` that this precision is; compute axes speed up with the cores that work together.
    """

    demands: tuple[str, ...]
    supplies: tuple[str, ...]
    share: str | None = None
    compute: bool = False

    def seconds(self, demand: Mapping[str, float], spec: Mapping[str, float]) -> float | None:
        """Return the least seconds on this axis, None when a side is unknown."""
        work = next((demand[name] for name in self.demands if name in demand), None)
        if work is None and self.share is not None and "flop" in demand and self.share in demand:
            work = demand["flop"] * demand[self.share]
        rate = max((spec[name] for name in self.supplies if name in spec), default=0.0)
        return work / rate if work is not None and work > 0 and rate > 0 else None


AXES: tuple[Axis, ...] = (
    Axis(
        demands=("fp64_flop",),
        supplies=("fp64_flop_per_s", "torch_fp64_flop_per_s"),
        share="fp64_share",
        compute=True,
    ),
    Axis(
        demands=("fp32_flop",),
        supplies=("fp32_flop_per_s", "torch_fp32_flop_per_s"),
        share="fp32_share",
        compute=True,
    ),
    Axis(
        demands=("low_precision_flop",),
        supplies=("bf16_flop_per_s", "fp16_flop_per_s", "int8_op_per_s"),
        share="low_precision_share",
        compute=True,
    ),
    Axis(demands=("memory_traffic_bytes", "working_set_bytes"), supplies=("sequential_bytes_per_s",)),
    Axis(demands=("random_accesses",), supplies=("random_access_per_s",)),
    Axis(demands=("written_bytes",), supplies=("disk_write_bytes_per_s",)),
    Axis(demands=("transferred_bytes",), supplies=("network_bytes_per_s", "bandwidth_bytes_per_s")),
)

RATES: tuple[str, ...] = tuple(CORE_RATES)
_CLOCK, _REFERENCE_CLOCK_HZ = "clock_average_hz", 2.5e9
_FASTEST_LOG = 7.0


def bound_s(demand: Mapping[str, float], spec: Mapping[str, float], *, startup_s: float = 0.0) -> float | None:
    """Return the least seconds that a run with this demand takes on a machine with this spec.

    `B = startup + (sum_j b_j^p)^(1/p)` over the axes known on both sides; compute axes are divided by the cores that
    `parallelism` says the computation can use. None when no axis is known on both sides.
    """
    width = max(1.0, min(demand.get("parallelism", 1.0), spec.get("cores", 1.0)))
    total = 0.0
    for axis in AXES:
        seconds = axis.seconds(demand, spec)
        if seconds is not None:
            total += (seconds / width if axis.compute else seconds) ** POWER
    return startup_s + float(total ** (1 / POWER)) if total > 0 else None


def bounds_s(demand: Mapping[str, float], specs: Sequence[Mapping[str, float]]) -> FloatArray:
    """Return the bound [R] of one computation on each machine, NaN where no axis is known on both sides."""
    if not demand:
        return np.full(len(specs), np.nan)
    values = [bound_s(demand, spec) for spec in specs]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


TRAITS = 1 + len(CORE_RATES)


def traits(spec: Mapping[str, float]) -> tuple[float, ...]:
    """Return what the rates of a machine suggest: ln(speed) against one reference core, then in which it stands out.

    The speed is the mean log of the known rates, else of the clock, else 0; behind it stands, for each rate, ln(rate)
    against the reference and that speed, 0 where unknown. Only the spec counts: one more resource moves no other.
    """
    found = [math.log(spec[key] / rate) if spec.get(key, 0.0) > 0 else None for key, rate in CORE_RATES.items()]
    known = [value for value in found if value is not None]
    if not known:
        clock_hz = spec.get(_CLOCK, 0.0)
        return (_bounded(math.log(clock_hz / _REFERENCE_CLOCK_HZ)) if clock_hz > 0 else 0.0, *(0.0 for _ in found))
    speed = sum(known) / len(known)
    return (_bounded(speed), *(0.0 if value is None else _bounded(value - speed) for value in found))


def log_speed(spec: Mapping[str, float]) -> float:
    """Return a guess of ln(speed) against one reference core, 0 when nothing is known."""
    return traits(spec)[0]


def _bounded(log_rate: float) -> float:
    return min(max(log_rate, -_FASTEST_LOG), _FASTEST_LOG)
