"""Which pair to run next: the one that teaches most per second, or the one that may be the best resource.

Both look at one joint Gaussian of ln seconds over N candidate pairs. To learn, a run is worth the variance that it
takes away from all pairs, weighted by how often each is used (A-optimal), per second that it takes; the largest
determinant is never the aim, because it prefers outliers. To find the best resource soon, a run is worth how far it
is expected to fall below the best value measured so far. Numpy only; nothing here is random.
"""

import math
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

ENOUGH_SD = 0.10  # of ln seconds: about 10 %
ENOUGH_S = 30.0
LEAST_USD_PER_S, LEAST_BEST = 1e-12, 1e-100  # what is free counts as this, so that logarithms stay finite
TAIL = -6.0  # below this score the expected improvement is taken from its series


class Goal(Enum):
    """Is what a probe is for."""

    LEARN = "learn"  # to predict all pairs better
    CHEAPEST = "cheapest"  # to have run the pair of least cost
    FASTEST = "fastest"  # to have run the pair of least time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """Pairs that could be run. Shapes: all [N], covariance [N, N].

    `mean` and `covariance` are of ln seconds without noise; `noise` is the variance of one run around its pair.
    `seconds` is what a run is expected to take, `price_usd_per_s` that of its whole resource (NaN: unknown), `usage`
    how much each pair's prediction matters, `feasible` False where a pair cannot run.
    """

    mean: FloatArray
    covariance: FloatArray
    noise: FloatArray
    seconds: FloatArray | None = None
    price_usd_per_s: FloatArray | None = None
    usage: FloatArray | None = None
    feasible: BoolArray | None = None

    def __post_init__(self) -> None:
        """Raise InputError when shapes disagree or a number cannot be true."""
        count = len(self.mean)
        if self.covariance.shape != (count, count):
            raise InputError(f"candidates: covariance must be [{count}, {count}], got {list(self.covariance.shape)}")
        for name in ("noise", "seconds", "price_usd_per_s", "usage", "feasible"):
            values = getattr(self, name)
            if values is not None and np.shape(values) != (count,):
                raise InputError(f"candidates: {name} must be [{count}], got {list(np.shape(values))}")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.covariance).all()):
            raise InputError("candidates: mean and covariance must be finite")
        for name, least in (("noise", 0.0), ("seconds", math.ulp(0.0)), ("usage", 0.0)):
            values = getattr(self, name)
            if values is not None and not (np.isfinite(values) & (values >= least)).all():
                raise InputError(f"candidates: {name} must be finite and at least {least:.0f}, got {values.min()}")

    @property
    def open(self) -> BoolArray:
        """Return which pairs can be run [N]."""
        return np.ones(len(self.mean), dtype=np.bool_) if self.feasible is None else self.feasible

    @property
    def expected_s(self) -> FloatArray:
        """Return what a run is expected to take [N]: as said, else the predicted median."""
        return np.exp(np.clip(self.mean, -50.0, 50.0)) if self.seconds is None else self.seconds

    @property
    def shares(self) -> FloatArray:
        """Return the usage as shares that sum to one [N]."""
        usage = np.ones(len(self.mean)) if self.usage is None else self.usage
        total = float(usage.sum())
        if total <= 0:
            raise InputError(f"candidates: usage must have a positive sum, got {total}")
        shares: FloatArray = usage / total
        return shares

    def sd(self) -> float:
        """Return the usage-weighted root mean square sd of ln seconds over all pairs."""
        return math.sqrt(max(float(self.shares @ np.diagonal(self.covariance)), 0.0))

    def after(self, place: int) -> "Candidates":
        """Return what is left to learn once one pair has been run: a rank-one update of the covariance.

        Means stay: nothing is known of the outcome yet.
        """
        column = self.covariance[:, place]
        scale = float(self.noise[place] + column[place])
        if scale <= 0:
            return self
        return replace(self, covariance=self.covariance - np.outer(column, column) / scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Says when enough was probed: the sd of ln seconds over all pairs, and seconds spent."""

    sd: float = ENOUGH_SD
    seconds: float = ENOUGH_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """A list of pairs to run, in order, with the sd that is left after each and the seconds that all will take."""

    places: tuple[int, ...] = ()
    sd_after: tuple[float, ...] = ()
    seconds: float = 0.0


def gains(candidates: Candidates) -> FloatArray:
    """Return the usage-weighted variance that running each pair once takes away [N]."""
    weighted = candidates.shares[:, None] * candidates.covariance**2
    variance = candidates.noise + np.maximum(np.diagonal(candidates.covariance), 0.0)
    taken: FloatArray = weighted.sum(axis=0) / np.where(variance > 0, variance, np.inf)
    return taken


def most_learnt(candidates: Candidates, *, within_s: float = math.inf) -> int | None:
    """Return the pair that teaches most per second among those that take no longer than `within_s`, None without one.

    Equal pairs: the first.
    """
    seconds = candidates.expected_s
    allowed = candidates.open & (seconds <= within_s)
    return _first_largest(gains(candidates) / seconds, allowed)


def sequence(candidates: Candidates, n: int, *, stop: Stop | None = None) -> Probes:
    """Return up to n different pairs to run, each the best after those before it; O(N^2) time for each.

    Ends early once `stop` (none by default) is met or no pair fits into the seconds left.
    """
    limit = stop or Stop(sd=0.0, seconds=math.inf)
    probes, now, seconds = Probes(), candidates, candidates.expected_s
    for _ in range(n):
        if now.sd() < limit.sd:
            break
        place = most_learnt(now, within_s=limit.seconds - probes.seconds)
        if place is None:
            break
        rest = now.open.copy()
        rest[place] = False
        now = replace(now.after(place), feasible=rest)
        probes = Probes(
            places=(*probes.places, place),
            sd_after=(*probes.sd_after, now.sd()),
            seconds=probes.seconds + float(seconds[place]),
        )
    return probes


def best_first(candidates: Candidates, *, goal: Goal, best: float | None = None) -> int | None:
    """Return the pair to run next so that the best one is found soon, None when no pair can run.

    `best` is the least value measured so far, in seconds for FASTEST and USD for CHEAPEST; without one the pair of
    least predicted median is first. Else the largest expected improvement of the logarithm. Equal pairs: the first.
    """
    if goal is Goal.LEARN:
        return most_learnt(candidates)
    values, allowed = candidates.mean, candidates.open
    if goal is Goal.CHEAPEST:
        prices = _prices(candidates)
        allowed = allowed & (prices >= 0)
        values = values + np.log(np.maximum(prices, LEAST_USD_PER_S))
    if best is None:
        return _first_largest(-values, allowed)
    if not (math.isfinite(best) and best >= 0):
        raise InputError(f"best: must be finite and not negative, got {best}")
    sd = np.sqrt(np.maximum(np.diagonal(candidates.covariance), 0.0))
    return _first_largest(log_expected_improvement(values, sd, math.log(max(best, LEAST_BEST))), allowed)


def log_expected_improvement(mean: FloatArray, sd: FloatArray, best: float) -> FloatArray:
    """Return ln E[max(best - v, 0)] for v ~ N(mean, sd^2) [N]; exact far into the tail, so that no two pairs tie at 0.

    E = sd (z P(z) + p(z)) with z = (best - mean) / sd, P and p the normal distribution and its density.
    """
    spread = np.maximum(sd, 1e-9)
    z = (best - mean) / spread
    density = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
    below = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in z.tolist()])
    near = np.maximum(z, TAIL)
    body = np.log(np.maximum(near * below + np.exp(np.maximum(density, -700.0)), 1e-300))
    far = np.minimum(z, TAIL)
    tail = density - 2 * np.log(-far) + np.log1p(-3 / far**2 + 15 / far**4)
    improvement: FloatArray = np.log(spread) + np.where(z > TAIL, body, tail)
    return improvement


def _prices(candidates: Candidates) -> FloatArray:
    if candidates.price_usd_per_s is None:
        raise InputError("candidates: the cheapest pair needs price_usd_per_s, got none")
    return np.nan_to_num(candidates.price_usd_per_s, nan=-1.0, posinf=-1.0)  # unknown: cannot be the cheapest


def _first_largest(scores: FloatArray, allowed: BoolArray) -> int | None:
    if not allowed.any():
        return None
    return int(np.argmax(np.where(allowed, scores, -np.inf)))
