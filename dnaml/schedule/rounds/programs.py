"""The linear programs behind Gavel's policies ("Heterogeneity-Aware Cluster Scheduling Policies", 2020), by HiGHS.

All choose shares of time X [J, K] under the same limits: a job's shares sum to at most 1, a pool is used within its
capacity. They differ in what they maximise.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_matrix, csr_matrix, hstack, vstack

from dnaml.schedule.rounds.round import BoolArray, FloatArray, IntArray, Round

_SPREAD = 1e-3
"""weight of the sum beside the minimum: what the minimum leaves open is used well instead of at random"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Limits:
    """The limits all programs share, `matrix` x <= `bound`; variable v is the pair (`jobs`[v], `columns`[v])."""

    jobs: IntArray
    columns: IntArray
    matrix: csr_matrix
    bound: FloatArray
    shape: tuple[int, int]

    def spread(self, values: FloatArray) -> FloatArray:
        """Return variables [V] as X [J, K]."""
        shares = np.zeros(self.shape)
        shares[self.jobs, self.columns] = values
        return shares

    def sums(self, worth: FloatArray) -> csr_matrix:
        """Return the matrix [I, V] that sums worth x share over each job that has a variable."""
        _, rows = np.unique(self.jobs, return_inverse=True)
        here = np.arange(len(self.jobs))
        return coo_matrix((worth[self.jobs, self.columns], (rows, here))).tocsr()


def limits(now: Round, allowed: BoolArray) -> Limits:
    """Return the limits over the allowed pairs."""
    jobs, columns = np.nonzero(allowed)
    here = np.arange(len(jobs))
    ones = coo_matrix((np.ones(len(jobs)), (jobs, here)), (len(now.numbers), len(jobs)))
    used = coo_matrix(
        (now.units[jobs, columns].astype(float), (now.pool[columns], here)), (len(now.capacity), len(jobs))
    )
    return Limits(
        jobs=jobs,
        columns=columns,
        matrix=vstack([ones, used]).tocsr(),
        bound=np.concatenate([np.ones(len(now.numbers)), now.capacity.astype(float)]),
        shape=(len(now.numbers), len(now.pool)),
    )


def max_min(now: Round, allowed: BoolArray, worth: FloatArray) -> FloatArray:
    """Return the shares [J, K] that maximise the least sum of worth x share [J, K] over the jobs."""
    limit = limits(now, allowed)
    if not len(limit.jobs):
        return np.zeros(limit.shape)
    sums = limit.sums(worth)
    sums = sums / float(sums.max())
    wanted = sums.shape[0]
    level = csr_matrix(np.repeat([0.0, 1.0], [len(limit.bound), wanted])[:, None])
    matrix = hstack([vstack([limit.matrix, -sums]), level]).tocsr()
    goal = np.append(-_SPREAD / wanted * np.asarray(sums.sum(axis=0)).ravel(), -1.0)
    found = linprog(goal, A_ub=matrix, b_ub=np.append(limit.bound, np.zeros(wanted)), method="highs")
    return limit.spread(found.x[:-1])


def equal_shares(now: Round, allowed: BoolArray) -> FloatArray:
    """Return the shares [J, K] of fairness that is blind to types: equal unit-time for equal weight."""
    return max_min(now, allowed, now.units / now.weight[:, None])


def most(now: Round, allowed: BoolArray, worth: FloatArray, floor: FloatArray | None = None) -> FloatArray | None:
    """Return the shares [J, K] of the largest sum of worth x share; None where `floor` cannot be kept.

    `floor` [J] is the least progress per second of each job (0: none).
    """
    limit = limits(now, allowed)
    if not len(limit.jobs):
        return np.zeros(limit.shape)
    matrix, bound = limit.matrix, limit.bound
    if floor is not None:
        pace = np.where(allowed, now.speed, 0.0)
        matrix = vstack([matrix, -limit.sums(pace)]).tocsr()
        bound = np.append(bound, -floor[np.unique(limit.jobs)])
    goal = -worth[limit.jobs, limit.columns]
    found = linprog(goal / np.abs(goal).max(), A_ub=matrix, b_ub=bound, bounds=(0, 1), method="highs")
    return limit.spread(found.x) if found.status == 0 else None
