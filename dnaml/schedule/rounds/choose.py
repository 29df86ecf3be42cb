"""One configuration for each job or none, at the least total cost, within the pools: an integer program by HiGHS."""

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_matrix

from dnaml.schedule.rounds.round import NONE, BoolArray, FloatArray, IntArray, Round

_GAP = 1e-4


def cheapest_columns(now: Round, cost: FloatArray, *, idle: float, fixed: BoolArray) -> tuple[IntArray, float, float]:
    """Return the choice [J] of least sum of `cost` [J, K] (inf: not allowed) plus `idle` for each job without one.

    Jobs that are `fixed` [J] keep what they hold. Also returns the sum and its proven lower bound.
    """
    choice = np.where(fixed, now.held, NONE)
    kept = np.flatnonzero(choice >= 0)
    free = now.capacity.astype(float)
    np.subtract.at(free, now.pool[choice[kept]], now.units[kept, choice[kept]])
    open_pairs = np.isfinite(cost) & (cost < idle) & ~fixed[:, None] & (now.units <= free[now.pool])
    jobs, columns = np.nonzero(open_pairs)
    base = float(np.where(np.isfinite(cost[kept, choice[kept]]), cost[kept, choice[kept]], idle).sum())
    base += idle * (len(choice) - len(kept))
    if not len(jobs):
        return choice, base, base
    here = np.arange(len(jobs))
    _, rows = np.unique(jobs, return_inverse=True)
    once = coo_matrix((np.ones(len(jobs)), (rows, here))).tocsr()
    units = now.units[jobs, columns].astype(float)
    used = coo_matrix((units, (now.pool[columns], here)), (len(free), len(jobs))).tocsr()
    found = milp(
        cost[jobs, columns] - idle,
        constraints=[LinearConstraint(once, -np.inf, 1), LinearConstraint(used, -np.inf, free)],
        integrality=np.ones(len(jobs)),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": _GAP},
    )
    picked = found.x > 0.5
    choice[jobs[picked]] = columns[picked]
    bound = found.fun if found.mip_dual_bound is None else found.mip_dual_bound
    return choice, base + float(found.fun), base + float(bound)
