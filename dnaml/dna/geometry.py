"""The learned slots 16-31 of both DNAs: how they are filled, and how their angle orders resources.

All resources of a pool get the same norm M over slots 16-31, so for one computation the order by cosine, by Euclidean
distance and by -(w_time ln T + w_cost ln(price T)) are one and the same. What the numbers mean is in `learned.py`.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from dnaml.core.dna import DNA_LENGTH, RAW_SLOTS, Vector
from dnaml.core.errors import DnaVersionError, InputError
from dnaml.core.work import Objective

FloatArray = npt.NDArray[np.float64]

DIRECTIONS = 14
"""speed and 13 interactions"""
LATENT = slice(RAW_SLOTS, RAW_SLOTS + DIRECTIONS)
PRICE = RAW_SLOTS + DIRECTIONS
COMPLETION = PRICE + 1
LEARNED = slice(RAW_SLOTS, DNA_LENGTH)
_QUERY = slice(RAW_SLOTS, COMPLETION)  # what a scalar product with a computation sees

CHEAPEST_USD_PER_H = 1e-4
"""prices below, zero among them, count as this one: the logarithm needs an end"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What a match minimises, in units of ln: w_time ln T + w_cost ln(price T) + w_tail sd(ln T) + w_loss losses.

    `losses` is the expected number of times that the resource is lost during the run. Time and cost make the angle of
    the DNA; tail and loss join where posteriors and hazards are known (`bank.py`).
    """

    time: float = 1.0
    cost: float = 0.0
    tail: float = 0.0
    loss: float = 0.0

    def __post_init__(self) -> None:
        """Raise InputError unless all are finite and non-negative, and time or cost counts."""
        values = (self.time, self.cost, self.tail, self.loss)
        if not all(math.isfinite(value) for value in values) or min(values) < 0 or self.time + self.cost <= 0:
            raise InputError(
                f"weights (time, cost, tail, loss) must be finite and non-negative with time + cost > 0, got {values}"
            )

    @classmethod
    def of(cls, objective: Objective) -> Self:
        """Return the weights of an objective; energy counts as time, because at a fixed power it is.

        Time and cost are scaled to sum 1; an objective of resilience alone looks at time too, by a hundredth.
        """
        cost, latency, resilience, energy = objective.shares()
        time = latency + energy
        if time + cost <= 0:
            time = 0.01 * resilience
        total = time + cost
        return cls(time=time / total, cost=cost / total, loss=resilience / total)


def log_price(price_usd_per_h: npt.ArrayLike, usual: float) -> FloatArray:
    """Return ln(USD/h) [...]; NaN (nobody knows the price) becomes `usual`, so it neither helps nor harms."""
    price = np.asarray(price_usd_per_h, dtype=np.float64)
    wrong = price[(price < 0) | np.isinf(price)]
    if wrong.size:
        raise InputError(f"price_usd_per_h must be finite and non-negative, got {wrong.flat[0]}")
    found: FloatArray = np.where(np.isnan(price), usual, np.log(np.fmax(price, CHEAPEST_USD_PER_H)))
    return found


def supply_slots(latent: FloatArray, log_prices: FloatArray, norm: float) -> Vector:
    """Return slots 16-31 of resources [N, 16] from u [N, 14] and ln price [N], completed to the norm."""
    slots = np.zeros((len(latent), DNA_LENGTH - RAW_SLOTS), dtype=np.float32)
    slots[:, :DIRECTIONS] = latent
    slots[:, DIRECTIONS] = log_prices
    return completed(slots, norm)


def completed(slots: Vector, norm: float = 0.0) -> Vector:
    """Return slots 16-31 [N, 16] with the last one set so that all rows have one norm: `norm`, or the largest if more.

    A pool that got a resource larger than all others is made whole by calling this on all its rows.
    """
    square = (slots[:, :-1].astype(np.float64) ** 2).sum(axis=1)  # of what float32 kept, not of what was meant
    whole = max(norm**2, float(square.max(initial=0.0)))
    out = slots.copy()
    out[:, -1] = np.sqrt(whole - square)
    return out


def demand_slots(phi: FloatArray, weights: Weights) -> Vector:
    """Return slots 16-31 of computations [C, 16] from loadings [C, 14]: (-w phi, -w_cost, 0)."""
    slots = np.zeros((len(phi), DNA_LENGTH - RAW_SLOTS), dtype=np.float32)
    slots[:, :DIRECTIONS] = -(weights.time + weights.cost) * phi
    slots[:, DIRECTIONS] = -weights.cost
    return slots


def learned_angles(wanted: FloatArray, offered: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return cosine and Euclidean distance [R] of one computation [D] to resources [R, D] over the learned slots.

    The distance is to the computation's vector stretched to the resources' norm. Rows whose norms differ (two pools
    were completed apart) are completed to the largest one first, so the order is that of the scalar product.
    """
    query, rows = wanted[_QUERY], offered[:, _QUERY]
    norm = float(np.sqrt((offered[:, LEARNED] ** 2).sum(axis=1).max(initial=0.0)))
    scale = float(np.linalg.norm(query)) * norm
    cosine = np.clip(rows @ query / scale, -1.0, 1.0) if scale > 0 else np.zeros(len(rows))
    return cosine, norm * np.sqrt(2.0 - 2.0 * cosine)


def version_of(raw: str, learned: str) -> str:
    """Return the version of a vector of 32 slots: that of its interpretable and that of its learned half."""
    return f"{raw}+{learned}"


def raw_version(version: str) -> str:
    """Return the version of the interpretable half."""
    return version.partition("+")[0]


def learned_version(version: str) -> str | None:
    """Return the version of the learned half, None where there is none."""
    return version.partition("+")[2] or None


def one_version(versions: set[str]) -> None:
    """Raise DnaVersionError, naming them, when there are several versions."""
    if len(versions) > 1:
        raise DnaVersionError(f"DNA of different versions cannot be compared: {', '.join(sorted(versions))}")
