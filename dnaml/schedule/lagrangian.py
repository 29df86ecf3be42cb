"""Chooses a configuration for each of many gangs under few capacities, with a proof of how near the optimum that is.

Each job takes one configuration (a pool and a number of its units) or none; pools have few sorts and many units. With
a price on the units of each pool jobs are independent, and any prices prove a lower bound. At good prices few
configurations of each job come near its best; an exact solver over those alone closes the gap, and the bound, which
holds for all configurations, certifies it. Without a solution that is near enough more configurations are let in.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.core.plan import FloatArray, IntArray

NONE = -1
"""the configuration of a job that gets nothing"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GangPlan:
    """Gives each job its configuration [J], NONE for none; no pool is used beyond its capacity.

    `total` is the cost of all, `bound` what no choice can cost less than, `price` [M] what a unit of each pool is
    worth: a good start for the next round. `impossible` [n] are jobs none of whose configurations fits an empty pool.
    """

    choice: IntArray
    total: float
    bound: float
    price: FloatArray
    impossible: IntArray

    @property
    def gap(self) -> float:
        """Return how far the total is above the bound at most, as a share of the bound."""
        return (self.total - self.bound) / abs(self.bound) if self.bound else float(self.total > self.bound)

    def reason(self, job: int) -> str:
        """Return why a job gets nothing, or "" if it gets a configuration."""
        if self.choice[job] != NONE:
            return ""
        if job in self.impossible:
            return "no configuration of it is allowed and fits its pool, even an empty one"
        return "the units it needs are worth more to other jobs"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Columns:
    """Holds the problem with no configuration as its last: cost [J, K + 1], units [J, K + 1], pool [K + 1]."""

    cost: FloatArray
    units: FloatArray
    pool: IntArray
    capacity: FloatArray

    def used(self, choice: IntArray) -> FloatArray:
        """Return the units of each pool that a choice uses [M]."""
        row = np.arange(len(choice))
        weights = self.units[row, choice]
        return np.bincount(self.pool[choice], weights, minlength=len(self.capacity)).astype(np.float64)

    def priced(self, price: FloatArray) -> FloatArray:
        """Return the costs with the price of the units [J, K + 1]."""
        return self.cost + self.units * price[self.pool]

    def total(self, choice: IntArray) -> float:
        """Return what a choice costs."""
        return float(self.cost[np.arange(len(choice)), choice].sum())


def allocate(
    cost: FloatArray,
    units: IntArray,
    pool: IntArray,
    capacity: IntArray,
    idle: FloatArray,
    *,
    price: FloatArray | None = None,
    gap: float = 5e-4,
    steps: int = 150,
    nodes: int = 2000,
) -> GangPlan:
    """Return configurations of least total cost, as near as `gap` where the solver's `nodes` allow.

    Shapes: cost [J, K] (NaN or infinite: not allowed), units [J, K] of the pool of each configuration, pool [K],
    capacity [M], idle [J] the cost of getting nothing. `price` [M] of an earlier round saves steps. Raises InputError
    for capacities, units or idle costs that make no sense.
    """
    jobs, pools = len(idle), len(capacity)
    if (np.asarray(capacity) < 0).any() or (np.asarray(units) < 0).any() or not np.isfinite(idle).all():
        raise InputError("gangs: capacities and units must not be negative, idle costs must be finite")
    if not jobs or not pools or not cost.shape[1]:
        return GangPlan(
            choice=np.full(jobs, NONE),
            total=float(idle.sum()),
            bound=float(idle.sum()),
            price=np.zeros(pools),
            impossible=np.arange(jobs),
        )
    allowed = np.isfinite(cost) & (units <= np.asarray(capacity)[pool])
    columns = _Columns(
        cost=np.column_stack([np.where(allowed, cost, np.inf), idle]).astype(np.float64),
        units=np.column_stack([np.where(allowed, units, 0), np.zeros(jobs)]).astype(np.float64),
        pool=np.append(pool, 0),
        capacity=np.asarray(capacity, dtype=np.float64),
    )
    best_price, bound = _prices(columns, np.zeros(pools) if price is None else np.maximum(0.0, price), steps)
    choice = _solved(columns, best_price, bound, gap, nodes)
    return GangPlan(
        choice=np.where(choice == cost.shape[1], NONE, choice),
        total=columns.total(choice),
        bound=min(bound, columns.total(choice)),
        price=best_price,
        impossible=np.flatnonzero(~allowed.any(axis=1)),
    )


def _prices(columns: _Columns, start: FloatArray, steps: int) -> tuple[FloatArray, float]:
    """Return the prices [M] of the best bound found, and it: Polyak's subgradient steps with a shrinking target."""
    price, best_price, best = start, start, -np.inf
    reach, stale = 0.05, 0
    for _ in range(steps):
        priced = columns.priced(price)
        choice = priced.argmin(axis=1)
        value = float(priced[np.arange(len(choice)), choice].sum() - price @ columns.capacity)
        if value > best + 1e-12 * abs(value):
            best, best_price, stale = value, price, 0
        else:
            stale += 1
            if stale > 4:
                reach, stale, price = 0.6 * reach, 0, best_price
                if reach < 1e-6:
                    break
                continue
        over = columns.used(choice) - columns.capacity
        over = np.where((price <= 0) & (over < 0), 0.0, over)
        length = float(over @ over)
        if length == 0:
            break
        price = np.maximum(0.0, price + (reach * abs(best) + best - value) / length * over)
    return best_price, best


def _solved(columns: _Columns, price: FloatArray, bound: float, gap: float, nodes: int) -> IntArray:
    """Return a choice within `gap` of the bound if one is found, else the best of all tried."""
    priced = columns.priced(price)
    above = priced - priced.min(axis=1, keepdims=True)  # [J, K + 1] reduced costs
    best = _filled(columns, above)
    unit = max(abs(bound), 1e-12) / len(priced)
    for width in (0.05, 0.1, 0.2, 0.5):
        if columns.total(best) - bound <= gap * abs(bound):
            break
        found = _exact(columns, above <= width * unit, gap / 2, nodes)
        if found is not None and columns.total(found) < columns.total(best):
            best = found
    return best


def _filled(columns: _Columns, above: FloatArray) -> IntArray:
    """Return a choice that fits: jobs with most at stake first, each the best of its configurations that still fits."""
    jobs, width = above.shape
    left = columns.capacity.copy()
    choice = np.full(jobs, width - 1)
    order = np.argsort(-above[:, -1], kind="stable")
    ranked = np.argsort(above, axis=1, kind="stable")
    fits = np.isfinite(above)
    for j in order.tolist():
        k = next(k for k in ranked[j].tolist() if fits[j, k] and columns.units[j, k] <= left[columns.pool[k]])
        left[columns.pool[k]] -= columns.units[j, k]
        choice[j] = k
    return choice


def _exact(columns: _Columns, keep: npt.NDArray[np.bool_], gap: float, nodes: int) -> IntArray | None:
    """Return the best choice among the kept configurations (and none at all), or None if the solver finds none."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_matrix

    keep[:, -1] |= ~keep.any(axis=1)
    job, k = np.nonzero(keep)
    free = keep.sum(axis=1)[job] > 1  # the others have one configuration left
    choice = keep.argmax(axis=1)
    fixed = np.where(keep.sum(axis=1) == 1, choice, keep.shape[1] - 1)
    room = columns.capacity - columns.used(fixed)
    if not free.any() or (room < 0).any():
        return choice if not free.any() and (room >= 0).all() else None
    job, k = job[free], k[free]
    _, row = np.unique(job, return_inverse=True)
    count = np.arange(len(job))
    once = csr_matrix((np.ones(len(job)), (row, count)))
    uses = csr_matrix((columns.units[job, k], (columns.pool[k], count)), shape=(len(room), len(job)))
    found = milp(
        columns.cost[job, k],
        constraints=[LinearConstraint(once, 1, 1), LinearConstraint(uses, -np.inf, room)],
        integrality=np.ones(len(job)),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": gap, "node_limit": nodes},
    )
    if found.x is None:
        return None
    taken = found.x > 0.5
    choice[job[taken]] = k[taken]
    return choice if (columns.used(choice) <= columns.capacity + 1e-9).all() else None
