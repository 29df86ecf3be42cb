"""What a run costs: rent by the billing quantum, data in and out, energy, serverless use, kept checkpoints.

    cost = price bill(T + start) + GB_in in + GB_out out + kWh energy + memory_GB (T + start) gb_s + call + GB kept

A part of the tariff that nobody stated costs nothing; where no part depends on time the cost is unknown (NaN). GB are
10^9 bytes. Shapes: runtimes [..., R, Q]; tariffs are arrays over R resources. Numpy only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.core.types import Computation, Resource

FloatArray = npt.NDArray[np.float64]

GB_BYTES = 1e9
KWH_J = 3.6e6
HOUR_S = 3600.0
MONTH_S = 30 * 86_400.0
SAME_QUANTUM = 1e-9  # quanta: a run of exactly one quantum is not billed as two
LEAST_QUANTUM_S = 1e-6  # below, use is billed to the fraction

_KEYS = (
    "billing_quantum_s",
    "billed_at_least_s",
    "in_usd_per_gb",
    "out_usd_per_gb",
    "energy_usd_per_kwh",
    "usd_per_gb_s",
    "usd_per_call",
    "storage_usd_per_gb_month",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Traffic:
    """What a run moves and keeps, in bytes and seconds. Shapes: broadcast against runtimes without Q ([..., R])."""

    in_bytes: FloatArray
    out_bytes: FloatArray
    checkpoint_bytes: FloatArray
    memory_bytes: FloatArray

    @classmethod
    def of(cls, computations: Sequence[Computation]) -> Self:
        """Return the traffic [C, 1] of computations; what is not known of one counts as none."""
        return cls.of_rows([moved_bytes(one) for one in computations])

    @classmethod
    def of_rows(cls, rows: Sequence[tuple[float, float, float, float]]) -> Self:
        """Return the traffic [C, 1] of what `moved_bytes` said of each computation."""
        columns = np.array(rows, dtype=np.float64).reshape(len(rows), 4, 1)
        return cls(**{name: columns[:, place] for place, name in enumerate(cls.__dataclass_fields__)})

    @classmethod
    def none(cls) -> Self:
        """Return the traffic of a run that moves and keeps nothing."""
        return cls(**{name: np.zeros(1) for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tariffs:
    """How each of R resources is paid for; 0 where a part costs nothing, NaN price where none is known.

    `price_usd_per_s` is rent, billed in whole quanta of `billing_quantum_s` (0: to the fraction) and for at least
    `billed_at_least_s`; `power_w` is what the energy part is for where no better figure is given.
    """

    price_usd_per_s: FloatArray
    start_s: FloatArray
    billing_quantum_s: FloatArray
    billed_at_least_s: FloatArray
    in_usd_per_gb: FloatArray
    out_usd_per_gb: FloatArray
    energy_usd_per_kwh: FloatArray
    usd_per_gb_s: FloatArray
    usd_per_call: FloatArray
    storage_usd_per_gb_month: FloatArray
    power_w: FloatArray

    def __post_init__(self) -> None:
        """Raise InputError on a negative or infinite part; only a price may be unknown."""
        for one in fields(self):
            values = getattr(self, one.name)
            known = values[~np.isnan(values)] if one.name == "price_usd_per_s" else values
            if not (np.isfinite(known) & (known >= 0)).all():
                raise InputError(f"tariff: {one.name} must be finite and not negative, got {known.min()}")

    @classmethod
    def of(cls, resources: Sequence[Resource]) -> Self:
        """Return the tariffs of resources: price, start-up and power from their fields, the rest from `spec`.

        A negative number there counts as none.
        """
        rows = np.array([_tariff(one) for one in resources], dtype=np.float64).reshape(len(resources), 3 + len(_KEYS))
        names = ("price_usd_per_s", "start_s", "power_w", *_KEYS)
        return cls(**{name: rows[:, place] for place, name in enumerate(names)})

    def cost_usd(
        self,
        runtime_s: FloatArray,
        *,
        traffic: Traffic | None = None,
        power_w: FloatArray | None = None,
        kept_s: float = 0.0,
    ) -> FloatArray:
        """Return costs [..., R, Q] for runtimes [..., R, Q]; not falling along Q where those do not.

        `power_w` [..., R] is what the run draws, else the resource's own; checkpoints are kept for the run and
        `kept_s` after it. NaN where no part of the tariff that depends on time is known.
        """
        used_s = runtime_s + self.start_s[:, None]
        if self.only_rent:
            only_rent: FloatArray = self.price_usd_per_s[:, None] * used_s
            return only_rent
        moved = traffic or Traffic.none()
        watts = np.broadcast_to(self.power_w if power_w is None else power_w, runtime_s.shape[:-1])
        rent = np.nan_to_num(self.price_usd_per_s)[:, None] * self.billed_s(used_s)
        data = (moved.in_bytes * self.in_usd_per_gb + moved.out_bytes * self.out_usd_per_gb) / GB_BYTES
        energy = (watts * self.energy_usd_per_kwh / KWH_J)[..., None] * used_s
        gb_s = (moved.memory_bytes / GB_BYTES * self.usd_per_gb_s)[..., None] * self.billed_s(used_s)
        storage = (moved.checkpoint_bytes / GB_BYTES * self.storage_usd_per_gb_month / MONTH_S)[..., None] * (
            runtime_s + kept_s
        )
        whole = rent + energy + gb_s + storage + np.asarray(data + self.usd_per_call)[..., None]
        metered = (moved.memory_bytes * self.usd_per_gb_s) + (watts * self.energy_usd_per_kwh) > 0
        known = ~np.isnan(self.price_usd_per_s) | metered
        costs: FloatArray = np.where(known[..., None], whole, np.nan)
        return costs

    @property
    def only_rent(self) -> bool:
        """Say whether nothing costs anything but rent, billed to the fraction."""
        return not any(getattr(self, key).any() for key in _KEYS)

    @property
    def depends_on_data(self) -> bool:
        """Say whether what a run moves or keeps changes what it costs."""
        parts = (self.in_usd_per_gb, self.out_usd_per_gb, self.storage_usd_per_gb_month)
        return any(bool(part.any()) for part in parts)

    def billed_s(self, used_s: FloatArray) -> FloatArray:
        """Return the seconds [..., R, Q] that are billed for seconds of use."""
        quantum = self.billing_quantum_s[:, None]
        counted = quantum >= LEAST_QUANTUM_S
        whole = np.ceil(used_s / np.where(counted, quantum, 1.0) - SAME_QUANTUM) * quantum
        billed: FloatArray = np.maximum(np.where(counted, whole, used_s), self.billed_at_least_s[:, None])
        return billed


def moved_bytes(computation: Computation) -> tuple[float, float, float, float]:
    """Return what a run of a computation brings in, takes out, keeps as checkpoint and holds in memory, in bytes."""
    demand = computation.demand
    inward = float(computation.input_bytes or 0)
    outward = demand.get("output_bytes", max(demand.get("transferred_bytes", 0.0) - inward, 0.0))
    return (inward, outward, demand.get("checkpoint_bytes", 0.0), float(computation.memory_bytes or 0))


def _tariff(resource: Resource) -> tuple[float, ...]:
    price = np.nan if resource.price_usd_per_h is None else resource.price_usd_per_h / HOUR_S
    own = (price, resource.startup_s or 0.0, resource.power_w or 0.0)
    spec = resource.spec
    return own + (_NONE if spec.keys().isdisjoint(_KEYS) else tuple(max(spec.get(key, 0.0), 0.0) for key in _KEYS))


_NONE = (0.0,) * len(_KEYS)
