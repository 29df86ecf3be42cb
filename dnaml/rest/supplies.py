"""What all resources of a pool supply, as arrays: bounds of a computation on all of them in some microseconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from dnaml.core.resource import Resource
from dnaml.predict.bound import AXES

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Supplies:
    """Shapes: `pace` [A, R] seconds for a unit of work on each axis (NaN unknown), `cores`, `memory_bytes`,
    `price_usd_per_s` [R]."""

    resources: tuple[Resource, ...]
    ids: tuple[str, ...]
    pace: FloatArray
    cores: FloatArray
    memory_bytes: FloatArray
    price_usd_per_s: FloatArray
    chunks: dict[int, tuple[Resource, ...]]

    @classmethod
    def of(cls, resources: Sequence[Resource]) -> Self:
        """Return the arrays of a pool."""
        rate = np.array(
            [[max((r.spec[n] for n in axis.supplies if n in r.spec), default=0.0) for r in resources] for axis in AXES]
        ).reshape(len(AXES), len(resources))
        with np.errstate(divide="ignore"):
            pace = np.where(rate > 0, 1.0 / np.where(rate > 0, rate, 1.0), 0.0)
        return cls(
            resources=tuple(resources),
            ids=tuple(r.id for r in resources),
            pace=pace,
            cores=np.array([r.spec.get("cores", 1.0) for r in resources], dtype=np.float64),
            memory_bytes=np.array([np.inf if r.memory_bytes is None else r.memory_bytes for r in resources]),
            price_usd_per_s=np.array(
                [np.nan if r.price_usd_per_h is None else r.price_usd_per_h / 3600.0 for r in resources]
            ),
            chunks={},
        )

    def holds(self, memory_bytes: int | None) -> BoolArray:
        """Return [R]: which resources have the memory."""
        return self.memory_bytes >= (memory_bytes or 0)

    def chunk(self, first: int, size: int) -> tuple[Resource, ...]:
        """Return some resources, always the same values, so that a predictor may keep what it knows of them."""
        found = self.chunks.get(first)
        if found is None:
            found = self.chunks[first] = self.resources[first : first + size]
        return found

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
