"""dnaml's round for elastic gangs: what a unit of each job's work is worth now, what units cost, one exact choice.

The worth follows "heSRPT: Parallel scheduling to minimize mean slowdown" (Berg and others, 2020): with speed ~ units^p,
the i-th largest of m jobs weighs `(i^(1/(1-p)) - (i-1)^(1/(1-p)))^(1-p)`, so that small jobs come first without
starving large ones. Units are priced in money, and a change pays for the time it stands still.
"""

from dataclasses import dataclass

import numpy as np

from dnaml.core.work import Objective
from dnaml.schedule.rounds.choose import cheapest_columns
from dnaml.schedule.rounds.round import NONE, Allocation, BoolArray, FloatArray, Round, relative


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """The knobs of the elastic round. `curve` is p above; `money` prices a dollar per hour in seconds of work of the
    median job per second; `hold_s` is how long a new gang is expected to last; `patience` the least gain of a change.
    `tail` lifts jobs that will have been there for long, so that the last ones are not starved.
    """

    curve: float = 0.6
    tail: float = 0.35
    money: float = 0.15
    hold_s: float = 600.0
    patience: float = 0.05


def worth_for(objective: Objective) -> Worth:
    """Return the knobs for an objective: money weighs the more the larger its cost share is."""
    cost, latency, _, _ = objective.shares()
    thrift = cost / max(cost + latency, 1e-9)
    return Worth(money=0.05 + 0.2 * thrift)


def is_elastic(now: Round) -> bool:
    """Say whether some job can hold gangs of different sizes on one pool."""
    return len(np.unique(now.pool)) < len(now.pool)


@dataclass(frozen=True, slots=True, kw_only=True)
class Elastic:
    """Chooses every round the configurations of the largest total worth within the pools.

    `worth` None takes the knobs of the round's objective.
    """

    worth: Worth | None = None
    name: str = "elastic"
    refresh_rounds: int = 1

    def allocate(self, now: Round) -> Allocation:
        """Return the best configurations; jobs that are restarting keep theirs."""
        allowed = now.feasible
        value = _values(now, allowed, self.worth or worth_for(now.objective))
        cost = np.where(allowed & (value > 0), -value, np.inf)
        fixed: BoolArray = now.restarting & (now.held != NONE)
        choice, _, _ = cheapest_columns(now, cost, idle=0.0, fixed=fixed)
        return Allocation(choice=choice)


def _values(now: Round, allowed: BoolArray, worth: Worth) -> FloatArray:
    """Return [J, K] worth per second of holding each configuration, less its price."""
    left_s = np.where(allowed, now.left_s, np.inf)
    size_s = _sizes(now, left_s)
    rate = np.divide(size_s[:, None], left_s, out=np.zeros_like(left_s), where=np.isfinite(left_s) & (left_s > 0))
    weight = weights(size_s, worth.curve)
    stay_s = now.at_s - now.arrived_s + np.where(np.isfinite(left_s), left_s, np.inf).min(axis=1, initial=np.inf)
    weight = weight * np.where(np.isfinite(stay_s), stay_s, 1.0) ** worth.tail
    lasts_s = np.minimum(left_s, worth.hold_s)
    useful = lasts_s / (lasts_s + now.restart_s[:, None])
    useful = np.where(np.isfinite(useful), useful, 0.0) * (1.0 - worth.patience)
    running = np.flatnonzero(now.held != NONE)
    useful[running, now.held[running]] = 1.0
    scale = float(np.median(weight)) if len(weight) else 1.0
    weight = weight / scale * relative(now.weight)
    value: FloatArray = weight[:, None] * rate * useful - worth.money * now.usd_per_s * 3600.0
    return value


def _sizes(now: Round, left_s: FloatArray) -> FloatArray:
    """Return what is left of each job [J] in seconds on its smallest gangs, averaged over the pools it can use."""
    small = np.where(np.isfinite(left_s), now.units, np.iinfo(np.int64).max)
    least = small.min(axis=1, keepdims=True)
    on_small = np.isfinite(left_s) & (small == least)
    logs = np.where(on_small, np.log(np.where(on_small, np.maximum(left_s, 1e-9), 1.0)), 0.0)
    mean: FloatArray = np.exp(logs.sum(axis=1) / np.maximum(1, on_small.sum(axis=1)))
    return mean


def weights(size_s: FloatArray, curve: float) -> FloatArray:
    """Return heSRPT's worth of a unit of work of each job [J]: the smaller the job among the others, the larger."""
    count = len(size_s)
    rank = np.empty(count)
    rank[np.argsort(-size_s, kind="stable")] = np.arange(1, count + 1)
    power = 1.0 / (1.0 - curve)
    weight: FloatArray = (rank**power - (rank - 1) ** power) ** (1.0 - curve)
    return weight
