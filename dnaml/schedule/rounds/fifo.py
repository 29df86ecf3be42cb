"""First in, first out: jobs start in order of arrival and are never moved; nobody overtakes.

Blind to types it draws a pool at random, as Gavel's baseline does; aware of them it takes the fastest free one.
"""

from dataclasses import dataclass

import numpy as np

from dnaml.schedule.rounds.round import NONE, Allocation, IntArray, Round


@dataclass(frozen=True, slots=True, kw_only=True)
class Fifo:
    """Starts the oldest job that waits as soon as a configuration is free, and no other before it."""

    name: str = "fifo"
    refresh_rounds: int = 0
    aware: bool = False

    def allocate(self, now: Round) -> Allocation:
        """Return what is held and the next jobs in line."""
        choice = now.held.copy()
        free = now.capacity.copy()
        held = np.flatnonzero(choice >= 0)
        np.subtract.at(free, now.pool[choice[held]], now.units[held, choice[held]])
        allowed = now.feasible
        for j in np.flatnonzero((choice == NONE) & allowed.any(axis=1)):
            fits = np.flatnonzero(allowed[j] & (now.units[j] <= free[now.pool]))
            if not len(fits):
                break
            choice[j] = self._pick(now, int(j), fits)
            free[now.pool[choice[j]]] -= now.units[j, choice[j]]
        return Allocation(choice=choice)

    def _pick(self, now: Round, j: int, fits: IntArray) -> int:
        if self.aware:
            return int(fits[now.left_s[j, fits].argmin()])
        rng = np.random.default_rng((now.seed, int(now.numbers[j])))
        return int(rng.choice(fits))
