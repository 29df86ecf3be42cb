"""What all resources of a pool supply, as arrays: bounds of a computation on all of them in some microseconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from dnaml.core.resource import Resource
from dnaml.core.work import Computation
from dnaml.predict.bound import AXES
from dnaml.predict.cost import Tariffs, Traffic

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Supplies:
    """Shapes: `pace` [A, R] seconds for a unit of work on each axis (0 unknown), `cores`, `memory_bytes` [R]."""

    pace: FloatArray
    cores: FloatArray
    memory_bytes: FloatArray
    tariffs: Tariffs
    only_rent: bool
    """whether all that costs anything anywhere is rent by the second"""

    @classmethod
    def of(cls, resources: Sequence[Resource]) -> Self:
        """Return the arrays of a pool."""
        rate = np.array(
            [[max((r.spec[n] for n in axis.supplies if n in r.spec), default=0.0) for r in resources] for axis in AXES]
        ).reshape(len(AXES), len(resources))
        tariffs = Tariffs.of(resources)
        with np.errstate(divide="ignore"):
            pace = np.where(rate > 0, 1.0 / np.where(rate > 0, rate, 1.0), 0.0)
        return cls(
            pace=pace,
            cores=np.array([r.spec.get("cores", 1.0) for r in resources], dtype=np.float64),
            memory_bytes=np.array([np.inf if r.memory_bytes is None else r.memory_bytes for r in resources]),
            tariffs=tariffs,
            only_rent=tariffs.only_rent and not tariffs.start_s.any(),
        )

    def holds(self, memory_bytes: int | None) -> BoolArray:
        """Return [R]: which resources have the memory."""
        return self.memory_bytes >= (memory_bytes or 0)

    def cost_usd(self, runtime_s: FloatArray, computation: Computation) -> FloatArray:
        """Return [R]: what a computation costs if it takes so long [R]; NaN where no price is known."""
        if self.only_rent:
            return np.asarray(runtime_s * self.tariffs.price_usd_per_s, dtype=np.float64)
        whole = self.tariffs.cost_usd(runtime_s[None, :, None], traffic=Traffic.of([computation]))
        return np.asarray(whole[0, :, 0], dtype=np.float64)

    def bounds_s(self, demand: Mapping[str, float]) -> FloatArray | None:
        """Return the bound [R] as `predict.bound.bound_s` gives it; None where a resource shares no axis with it."""
        total: FloatArray | None = None
        width: FloatArray | None = None
        for place, axis in enumerate(AXES):
            work = next((demand[name] for name in axis.demands if name in demand), None)
            if work is None and axis.share is not None and "flop" in demand and axis.share in demand:
                work = demand["flop"] * demand[axis.share]
            if work is None or work <= 0:
                continue
            seconds = self.pace[place] * work
            if axis.compute:
                if width is None:
                    width = np.maximum(1.0, np.minimum(demand.get("parallelism", 1.0), self.cores))
                seconds = seconds / width
            powered = seconds**2  # the power of the soft maximum is 4: two squares cost a tenth of a power
            powered *= powered
            total = powered if total is None else total + powered
        if total is None or not total.all():
            return None
        return np.asarray(np.sqrt(np.sqrt(total)), dtype=np.float64)
