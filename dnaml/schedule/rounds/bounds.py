"""What no scheduler can beat: lower bounds of a set of jobs, by linear programs over growing intervals of time.

In the program a job may run in pieces on several pools at once within its own time; every real schedule is one of its
solutions, so its optimum is a proven bound (interval-indexed formulation of Hall and others, 1997).
"""

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_matrix, vstack

from dnaml.schedule.rounds.round import FloatArray, IntArray, Round, relative

_LARGEST = 60_000  # variables; beyond it intervals are made coarser


def intervals(horizon_s: float, first_s: float, growth: float) -> FloatArray:
    """Return the ends [I + 1] of intervals from 0 to a horizon: `first_s` long, then growing by a factor."""
    edges = [0.0]
    while edges[-1] < horizon_s:
        edges.append(min(horizon_s, edges[-1] + max(first_s, edges[-1] * (growth - 1))))
    return np.array(edges)


def cheapest_usd(now: Round) -> float:
    """Return what the jobs cost at least: each on its cheapest configuration."""
    dollars = now.usd_left.min(axis=1, initial=np.inf)
    return float(dollars[np.isfinite(dollars)].sum())


def mean_completion_s(now: Round, *, growth: float = 1.1) -> float:
    """Return a lower bound of the weighted mean time from arrival to end, over jobs that can run, if no others come."""
    left_s = np.where(now.feasible, now.left_s, np.inf)
    able = np.flatnonzero(np.isfinite(left_s).any(axis=1))
    if not len(able):
        return 0.0
    left_s, units = left_s[able], now.units[able]
    best_s = left_s.min(axis=1)
    horizon_s = _enough(now, left_s, units)
    edges = intervals(horizon_s, max(now.round_s, horizon_s / 200), growth)
    while len(able) * len(now.pool) * len(edges) > _LARGEST and len(edges) > 3:
        edges = np.append(edges[:-1:2], edges[-1])
    weight = relative(now.weight[able])
    waited_s = float(((now.at_s - now.arrived_s[able]) * weight).mean())
    return waited_s + _program(now, left_s, units, edges, weight) + float((best_s * weight).mean()) / 2


def _enough(now: Round, left_s: FloatArray, units: IntArray) -> float:
    """Return a horizon within which all the jobs can surely end: one after the other on their fastest."""
    rows, column = np.arange(len(left_s)), left_s.argmin(axis=1)
    work = left_s[rows, column] * units[rows, column]
    pools = now.pool[column]
    each = [work[pools == m].sum() / max(1, now.capacity[m]) for m in range(len(now.capacity))]
    return float(2.0 * max(each) + left_s[rows, column].max())


def _program(now: Round, left_s: FloatArray, units: IntArray, edges: FloatArray, weight: FloatArray) -> float:
    """Return the least mean, by weight [J], of the start of the interval in which their pieces run."""
    length = np.diff(edges)
    count, steps, pools = len(left_s), len(length), len(now.capacity)
    j, k, i = (axis.ravel() for axis in np.meshgrid(*(np.arange(n) for n in (*left_s.shape, steps)), indexing="ij"))
    open_ = np.isfinite(left_s[j, k])
    j, k, i = j[open_], k[open_], i[open_]
    here = np.arange(len(j))
    share = 1.0 / left_s[j, k]
    whole = coo_matrix((share, (j, here)), (count, len(j)))
    used = coo_matrix((units[j, k].astype(float), (now.pool[k] * steps + i, here)), (pools * steps, len(j)))
    alone = coo_matrix((np.ones(len(j)), (j * steps + i, here)), (count * steps, len(j)))
    room = (now.capacity[:, None] * length).ravel()
    found = linprog(
        edges[i] * share * weight[j] / count,
        A_ub=vstack([used, alone]).tocsr(),
        b_ub=np.concatenate([room, np.tile(length, count)]),
        A_eq=whole.tocsr(),
        b_eq=np.ones(count),
        method="highs",
    )
    return float(found.fun) if found.status == 0 else 0.0
