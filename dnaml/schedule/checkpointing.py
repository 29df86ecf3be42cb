"""How often work should write a checkpoint, and how long it takes under failures.

Failures come at a constant hazard, M = 1 / hazard_per_s apart on average; a checkpoint takes `write_s`, to go on from
one `restore_s`. A stretch of x seconds between two safe points, repeated until it comes through, takes
`M e^(restore/M) (e^(x/M) - 1)` on average ("A higher order estimate of the optimum checkpoint interval", Daly 2006).
The classic interval is `sqrt(2 write M)` ("A first order approximation to the optimum checkpoint interval", Young
1974); `best_interval_s` minimises Daly's formula itself, `checkpoint_plan` does so for work that ends.
"""

import math
from dataclasses import dataclass

import numpy as np

from dnaml.core.errors import InputError
from dnaml.core.plan import FloatArray, IntArray

SAFE_EXPOSURE = 0.01
"""work that expects fewer failures than this writes no checkpoint"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hazards:
    """Says how often work is lost and what saving it costs: failures per second, seconds to write and to go on."""

    hazard_per_s: float
    write_s: float = 0.0
    restore_s: float = 0.0

    def __post_init__(self) -> None:
        """Raise InputError unless all three are finite and not negative."""
        for name in ("hazard_per_s", "write_s", "restore_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"hazards: {name} must be finite and not negative, got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointPlan:
    """Says after how many seconds of work to write, None for never; and the time expected with and without that.

    `stretches` safe points, the end included, divide the work; the last stretch needs no checkpoint and is longer
    by one `write_s`. No other number of stretches, of whatever lengths, takes less time on average.
    """

    interval_s: float | None
    stretches: int
    expected_s: float
    without_s: float


def young_interval_s(hazards: Hazards) -> float:
    """Return the first-order interval sqrt(2 write M), at most M; infinite without failures."""
    if hazards.hazard_per_s == 0:
        return math.inf
    mean_s = 1 / hazards.hazard_per_s
    return min(math.sqrt(2 * hazards.write_s * mean_s), mean_s)


def daly_interval_s(hazards: Hazards) -> float:
    """Return Daly's higher-order estimate: Young's with two correcting terms, M where writing takes over 2 M."""
    if hazards.hazard_per_s == 0:
        return math.inf
    mean_s = 1 / hazards.hazard_per_s
    ratio = hazards.write_s / (2 * mean_s)
    if ratio >= 1:
        return mean_s
    return math.sqrt(2 * hazards.write_s * mean_s) * (1 + math.sqrt(ratio) / 3 + ratio / 9) - hazards.write_s


def best_interval_s(hazards: Hazards) -> float:
    """Return the interval that minimises Daly's expected time of endless work.

    Its derivative vanishes where `(1 - z) e^z = e^(-write/M)`, z = interval / M in [0, 1]; found by Newton's steps on
    the logarithm, `z + ln(1 - z) = -write/M`, from the right of the root, where they cannot overshoot.
    """
    if hazards.hazard_per_s == 0:
        return math.inf
    ratio = hazards.write_s * hazards.hazard_per_s
    if ratio > 30 or ratio == 0:  # writing takes so long that 1 - z is no longer told from 0; or no time at all
        return 1 / hazards.hazard_per_s if ratio else 0.0
    z, earlier = 1.0, min(math.sqrt(2 * ratio), -math.expm1(-ratio - 1))  # both at or right of the root
    while earlier < z * (1 - 1e-15):
        z = earlier
        earlier = z + (_shortfall(z) + ratio) * (1 - z) / z
    return z / hazards.hazard_per_s


def _shortfall(z: float) -> float:
    """Return z + ln(1 - z), by its series where the two nearly cancel."""
    if z > 0.01:
        return z + math.log1p(-z)
    return -sum(z**k / k for k in range(2, 9))


def stretch_s(work_s: FloatArray | float, hazards: Hazards) -> FloatArray:
    """Return the expected time of work repeated from its start until it comes through; any shape, same shape back."""
    work = np.asarray(work_s, dtype=float)
    rate = hazards.hazard_per_s
    if rate == 0:
        return work
    with np.errstate(over="ignore"):
        stretched: FloatArray = np.exp(rate * hazards.restore_s) * np.expm1(rate * work) / rate
    return stretched


def expected_s(work_s: FloatArray | float, stretches: IntArray | int, hazards: Hazards) -> FloatArray:
    """Return the expected time of work in so many stretches of equal exposure, all but the last ending in a write.

    Equal exposure is best: the sum of convex times of stretches with a given total is least where they are equal.
    """
    exposed_s = (work_s + (np.asarray(stretches) - 1) * hazards.write_s) / stretches
    return stretches * stretch_s(exposed_s, hazards)


def best_stretches(work_s: FloatArray, hazards: Hazards) -> IntArray:
    """Return into how many stretches to divide each work [N]; 1 below `SAFE_EXPOSURE`.

    n stretches share `work + (n - 1) write`, as if the work were less by one write; the time is convex in n, so the
    best whole number is beside the best real one. Free checkpoints have no best number: then the interval is a
    thousandth of the work or of M, whichever is less.
    """
    exposure = hazards.hazard_per_s * work_s
    if hazards.write_s == 0:
        return np.where(exposure < SAFE_EXPOSURE, 1, np.ceil(1000 * np.maximum(1.0, exposure))).astype(np.int64)
    about = np.maximum(0.0, work_s - hazards.write_s) / best_interval_s(hazards)
    fewer = np.maximum(1, np.floor(about)).astype(np.int64)
    more = expected_s(work_s, fewer + 1, hazards) < expected_s(work_s, fewer, hazards)
    return np.where(exposure < SAFE_EXPOSURE, 1, fewer + more)


def checkpoint_plan(work_s: float, hazards: Hazards) -> CheckpointPlan:
    """Return how to save `work_s` seconds of work: never where fewer than `SAFE_EXPOSURE` failures are expected.

    Raises InputError unless the work is finite and not negative.
    """
    if not (math.isfinite(work_s) and work_s >= 0):
        raise InputError(f"checkpoint plan: work_s must be finite and not negative, got {work_s}")
    stretches = int(best_stretches(np.array([work_s]), hazards)[0])
    interval_s = None
    if stretches > 1:
        interval_s = (work_s + (stretches - 1) * hazards.write_s) / stretches - hazards.write_s
    return CheckpointPlan(
        interval_s=interval_s,
        stretches=stretches,
        expected_s=float(expected_s(work_s, stretches, hazards)),
        without_s=float(expected_s(work_s, 1, hazards)),
    )
