"""Sia's round: one integer program for all jobs ("Sia: Heterogeneity-aware, goodput-optimized ML-cluster scheduling",
2023).

Minimises the sum of (normalised goodput)^p over the chosen configurations plus a penalty for each job without one;
p < 0 is fair. A job begins on one unit and at most doubles; a change is discounted by what restarts cost it so far.
"""

from dataclasses import dataclass

import numpy as np

from dnaml.schedule.rounds.choose import cheapest_columns
from dnaml.schedule.rounds.round import NONE, Allocation, BoolArray, FloatArray, IntArray, Round


@dataclass(frozen=True, slots=True, kw_only=True)
class Sia:
    """Asks every round which configuration each job should hold; `growth` bounds how fast a gang grows."""

    name: str = "sia"
    refresh_rounds: int = 1
    power: float = -0.5
    idle_penalty: float = 1.1
    growth: int = 2

    def allocate(self, now: Round) -> Allocation:
        """Return the optimal configurations of this round and the largest gang that each job has held."""
        largest = _largest(now)
        allowed = now.feasible & (now.units <= np.maximum(1, self.growth * largest)[:, now.pool])
        goodput = np.where(allowed, now.speed, 0.0)
        least = np.where(goodput > 0, goodput, np.inf).min(axis=1, keepdims=True)
        gain = np.where(goodput > 0, goodput / np.where(np.isfinite(least), least, 1.0), 0.0)
        gain[(largest == 0).all(axis=1)] = 1.0  # nothing is known of a job before it ran
        gain = gain * _discount(now)
        worth = np.where(allowed & (gain > 0), np.round(np.maximum(gain, 1e-12) ** self.power, 2), np.inf)
        choice, score, bound = cheapest_columns(now, worth, idle=self.idle_penalty, fixed=_fixed(now))
        return Allocation(choice=choice, memory=(now.numbers, largest), score=score, bound=bound)


def _largest(now: Round) -> IntArray:
    """Return the largest gang [J, M] that each job has held of each pool."""
    largest = np.zeros((len(now.numbers), len(now.capacity)), dtype=np.int64)
    held = np.where(now.served_s > 0, now.units, 0)
    for m in range(len(now.capacity)):
        largest[:, m] = held[:, now.pool == m].max(axis=1, initial=0)
    return largest


def _discount(now: Round) -> FloatArray:
    """Return [J, K] what a change is worth beside staying: less for jobs that restarted often for their age."""
    age_s = now.at_s - now.arrived_s
    restarts = np.maximum(now.starts - 1, 0)
    factor = np.maximum(age_s - restarts * now.restart_s, 0.0) / np.maximum(age_s + now.restart_s, 1e-9)
    factor = np.where((age_s < now.restart_s) | (now.held == NONE), 1.0, factor)
    discount = np.repeat(factor[:, None], len(now.pool), axis=1)
    running = np.flatnonzero(now.held >= 0)
    discount[running, now.held[running]] = 1.0
    return discount


def _fixed(now: Round) -> BoolArray:
    """Return which jobs [J] keep what they hold: those that are just restarting."""
    fixed: BoolArray = now.restarting & (now.held >= 0)
    return fixed
