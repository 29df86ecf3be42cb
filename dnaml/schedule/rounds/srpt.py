"""Shortest remaining time first over gangs: remaining unit-seconds order the jobs, each takes its fastest free pool.

The single-machine rule is Schrage's ("A proof of the optimality of the shortest remaining processing time
discipline", 1968); for gangs the remaining work in unit-seconds takes the place of the time.
"""

from dataclasses import dataclass

import numpy as np

from dnaml.schedule.rounds.greedy import fill, preferences
from dnaml.schedule.rounds.round import Allocation, Round


@dataclass(frozen=True, slots=True, kw_only=True)
class Srpt:
    """Runs the jobs with the least remaining work; preempts the others."""

    name: str = "srpt"
    refresh_rounds: int = 10

    def allocate(self, now: Round) -> Allocation:
        """Return the fastest free configuration for each job by rising remaining unit-seconds."""
        allowed = now.feasible
        work = np.where(allowed, now.left_s * now.units, np.inf).min(axis=1, initial=np.inf)
        order = np.argsort(work, kind="stable").tolist()
        preference = preferences(now.left_s, allowed)
        return Allocation(choice=fill(now, order, preference))
