"""AlloX ("AlloX: Compute Allocation in Hybrid Clusters", 2020): mean completion time as a minimum-cost matching.

A job that runs k-th from the last on a unit delays k jobs, itself included, so that place costs k times its runtime.
Jobs are single units; a gang is matched as one unit and waits until its pool has room for all of it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from dnaml.schedule.rounds.round import NONE, Allocation, FloatArray, IntArray, Round

_NEVER_S = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class AlloX:
    """Matches the waiting jobs to (unit, place from the last) and starts those that come first; nobody is preempted.

    `oldest` is the share of the waiting jobs, longest waiting first, that take part while there are more of them than
    free units.
    """

    name: str = "allox"
    refresh_rounds: int = 0
    oldest: float = 0.3

    def allocate(self, now: Round) -> Allocation:
        """Return what is held and the jobs that the matching puts first on each free unit."""
        choice = now.held.copy()
        free = now.capacity.copy()
        held = np.flatnonzero(choice >= 0)
        np.subtract.at(free, now.pool[choice[held]], now.units[held, choice[held]])
        waiting = np.flatnonzero((choice == NONE) & now.feasible.any(axis=1))
        most = max(int(free.sum()), int(self.oldest * len(waiting)))
        waiting = waiting[:most]
        if not len(waiting) or not free.sum():
            return Allocation(choice=choice)
        columns, places, jobs = match(now, waiting, free)
        for j in np.lexsort((now.left_s[waiting[jobs], columns], -places)):
            job, k = int(waiting[jobs[j]]), int(columns[j])
            if now.units[job, k] <= free[now.pool[k]]:
                choice[job] = k
                free[now.pool[k]] -= now.units[job, k]
        return Allocation(choice=choice)


def match(now: Round, jobs: IntArray, free: IntArray, extra: FloatArray | None = None) -> tuple[IntArray, ...]:
    """Return configuration, place from the last and index into `jobs` of the matching of least total delay.

    Every configuration of a pool offers each free unit of it as many places as could be needed; `extra` [J, K] is added
    to the cost of a place, whichever it is.
    """
    offered = [k for k in range(len(now.pool)) if free[now.pool[k]] > 0]
    total = sum(int(free[now.pool[k]]) for k in offered)
    depth = min(len(jobs), len(jobs) // max(1, total) + 2)
    column = np.concatenate([np.repeat(k, int(free[now.pool[k]]) * depth) for k in offered])
    place = np.concatenate([np.tile(np.arange(1, depth + 1), int(free[now.pool[k]])) for k in offered])
    runtime_s = np.where(now.feasible[jobs], now.left_s[jobs], _NEVER_S)
    cost = runtime_s[:, column] * place
    if extra is not None:
        cost = cost + np.where(now.feasible[jobs], extra[jobs], _NEVER_S)[:, column]
    rows, places = linear_sum_assignment(cost)
    sane = cost[rows, places] < _NEVER_S
    rows, places = rows[sane], places[sane]
    return column[places], place[places], rows
