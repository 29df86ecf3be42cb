"""What a round policy may look at and what it answers; both are arrays, so that a round costs microseconds.

Axes: `J` active jobs by arrival, `K` configurations (a pool and, per job, a number of its units), `M` pools of equal
units. A job holds one configuration or none (-1).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.core.work import Objective
from dnaml.schedule.rounds.together import ALONE, Together

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

NONE = -1
"""the configuration of a job that waits"""
LEAST_S = 1e-9
"""no runtime is shorter: what takes no time at all has no speed"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Round:
    """All that a round policy may look at.

    Shapes: `left_s` [J, K] predicted seconds to the end if the job held that configuration from now (inf: cannot),
    `whole_s` [J, K] the same from the job's beginning, `speed` [J, K] share of the job done per second at its present
    point, `units` [J, K] of pool `pool` [K]; `capacity`, `price_usd_per_h` [M]. Per job [J]: `numbers` (rising with
    arrival, never reused), `held`, `arrived_s`, `deadline_s` (inf: none), `weight`, `restart_s` (what a change costs),
    `starts`, `restarting`. `served_s` [J, K] seconds held so far. `log_sd` [J, K] is the standard deviation of the
    logarithm of the predicted seconds (None: they are exact). `memory` is what this policy answered last.
    `together` says which jobs may share their units and how fast they then are (None: every job is alone).
    """

    at_s: float
    round_s: float
    numbers: IntArray
    left_s: FloatArray
    whole_s: FloatArray
    speed: FloatArray
    units: IntArray
    pool: IntArray
    capacity: IntArray
    price_usd_per_h: FloatArray
    held: IntArray
    arrived_s: FloatArray
    deadline_s: FloatArray
    weight: FloatArray
    restart_s: FloatArray
    starts: IntArray
    restarting: BoolArray
    served_s: FloatArray
    objective: Objective
    seed: int = 0
    memory: object = None
    log_sd: FloatArray | None = None
    together: Together | None = None

    @property
    def feasible(self) -> BoolArray:
        """Return [J, K] which configurations a job can hold at all in pools of this size."""
        fits: BoolArray = np.isfinite(self.left_s) & (self.units <= self.capacity[self.pool])
        return fits

    @property
    def usd_per_s(self) -> FloatArray:
        """Return [J, K] what holding each configuration costs per second."""
        rate: FloatArray = self.units * (self.price_usd_per_h / 3600.0)[self.pool]
        return rate

    @property
    def usd_left(self) -> FloatArray:
        """Return [J, K] what each job costs to its end in each configuration; inf where it cannot be held."""
        never = np.full(self.left_s.shape, np.inf)
        usd: FloatArray = np.multiply(self.left_s, self.usd_per_s, out=never, where=self.feasible)
        return usd


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Allocation:
    """Says which configuration each job [J] holds from now on, -1 for none.

    `partner` [J] is the number of the job that holds the same units beside it (-1: none; None: everybody is alone).
    `memory` comes back in the next round; `bound` is a proven lower bound of `score`, both None where the policy
    proves nothing. `again_rounds` asks to be asked again so soon, this once (None: as the policy always does).
    """

    choice: IntArray
    partner: IntArray | None = None
    memory: object = None
    score: float | None = None
    bound: float | None = None
    again_rounds: int | None = None

    @property
    def gap(self) -> float | None:
        """Return the relative distance of the score to its bound."""
        if self.score is None or self.bound is None or self.bound <= 0:
            return None
        return max(0.0, self.score / self.bound - 1.0)


class RoundPolicy(Protocol):
    """Decides which gang each active job holds: a pure function of the round."""

    @property
    def name(self) -> str:
        """Name the policy, for reports."""
        ...

    @property
    def refresh_rounds(self) -> int:
        """Say after how many rounds without a change the policy wants to be asked again."""
        ...

    def allocate(self, now: Round) -> Allocation:
        """Return a configuration or none for every job; no pool is given beyond its capacity."""
        ...


def relative(weight: FloatArray) -> FloatArray:
    """Return the jobs' weights [J] over their mean: 1 where all count alike."""
    scaled: FloatArray = weight / weight.mean() if len(weight) else weight
    return scaled


def check(now: Round, allocation: Allocation) -> None:
    """Raise InputError when an allocation gives what cannot run, or more of a pool than there is."""
    choice = allocation.choice
    if choice.shape != now.held.shape:
        raise InputError(f"an allocation must have one entry a job, got {choice.shape} for {now.held.shape}")
    rows = np.flatnonzero(choice >= 0)
    columns = choice[rows]
    impossible = ~np.isfinite(now.left_s[rows, columns])
    if impossible.any():
        job = int(now.numbers[rows[impossible][0]])
        raise InputError(f"job {job} was given configuration {int(columns[impossible][0])}, on which it cannot run")
    rows = rows[~guests(now, allocation)[rows]]
    columns = choice[rows]
    used = np.bincount(now.pool[columns], weights=now.units[rows, columns], minlength=len(now.capacity))
    over = np.flatnonzero(used > now.capacity)
    if len(over):
        m = int(over[0])
        raise InputError(f"pool {m} has {int(now.capacity[m])} units, the allocation uses {int(used[m])}")


def guests(now: Round, allocation: Allocation) -> BoolArray:
    """Return which jobs [J] hold units that are counted for their partner: of two that share, the later one.

    Raises InputError where two may not share as the allocation says.
    """
    choice, partner = allocation.choice, allocation.partner
    if partner is None:
        return np.zeros(len(choice), dtype=bool)
    rows = np.flatnonzero(partner != ALONE)
    beside = np.searchsorted(now.numbers, partner[rows])
    known = beside < len(now.numbers)
    known[known] = now.numbers[beside[known]] == partner[rows[known]]
    mutual = known.copy()
    mutual[known] = partner[beside[known]] == now.numbers[rows[known]]
    columns = choice[rows]
    allowed = mutual & (columns >= 0)
    i, j, k = rows[allowed], beside[allowed], columns[allowed]
    same = (choice[j] == k) & (now.units[i, k] == now.units[j, k])
    allowed[allowed] = same & (now.together is not None and (now.together.speeds(i, j, k) > 0).all(axis=-1))
    if not allowed.all():
        bad = rows[~allowed][0]
        raise InputError(
            f"job {int(now.numbers[bad])} may not share configuration {int(choice[bad])} with job {int(partner[bad])}: "
            "both must hold it, with equally many units and room in memory, and the pair must have been measured there"
        )
    later: BoolArray = (partner != ALONE) & (partner < now.numbers)
    return later
