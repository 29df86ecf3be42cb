"""Gavel's objectives as shares of time ("Heterogeneity-Aware Cluster Scheduling Policies", Narayanan and others, 2020).

`gavel_max_min` is least attained service, aware of types or blind to them; the others are finish-time fairness,
makespan, sum of throughput and throughput per dollar (with deadlines kept where that is possible).
"""

from dataclasses import dataclass

import numpy as np

from dnaml.schedule.rounds.programs import equal_shares, max_min, most
from dnaml.schedule.rounds.round import BoolArray, FloatArray, Round

_HALVINGS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxMinFairness:
    """Maximises the least throughput of a job relative to an equal share of the pools; `aware` of types or blind."""

    aware: bool = True

    def shares(self, now: Round) -> FloatArray:
        """Return the shares [J, K]."""
        allowed = now.feasible
        if not self.aware:
            return equal_shares(now, allowed)
        alone = _equal_pace(now, allowed)
        worth = _pace(now, allowed) * now.units / (now.weight * alone)[:, None]
        return max_min(now, allowed, worth)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishTimeFairness:
    """Minimises the worst ratio of a job's expected time to the one it would have with an equal share."""

    def shares(self, now: Round) -> FloatArray:
        """Return the shares [J, K] found by bisection of the ratio."""
        allowed = now.feasible
        able = allowed.any(axis=1)
        age_s = now.at_s - now.arrived_s
        left = np.where(able, _undone(now, allowed), 0.0)
        alone_s = age_s + left / _equal_pace(now, allowed)
        pace = _pace(now, allowed)
        low = float((age_s[able] / alone_s[able]).max(initial=0.0))
        high, best = max(4.0, 4.0 * low), None
        for _ in range(_HALVINGS):
            ratio = (low + high) / 2
            spare_s = ratio * alone_s - age_s
            floor = np.where(able & (spare_s > 0), left / np.maximum(spare_s, 1e-9), 0.0)
            found = most(now, allowed, pace / pace.max(axis=1, initial=1e-12, keepdims=True), floor)
            if found is None:
                low = ratio
            else:
                best, high = found, ratio
        return equal_shares(now, allowed) if best is None else best


@dataclass(frozen=True, slots=True, kw_only=True)
class Makespan:
    """Minimises the time at which the last job ends."""

    def shares(self, now: Round) -> FloatArray:
        """Return the shares [J, K]: the least share of what is left, done per second, is as large as it can be."""
        allowed = now.feasible
        return max_min(now, allowed, _pace(now, allowed) / _undone(now, allowed)[:, None])


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Maximises the sum of relative throughputs, per dollar if `per_usd`; deadlines are floors if `deadlines`."""

    per_usd: bool = False
    deadlines: bool = False

    def shares(self, now: Round) -> FloatArray:
        """Return the shares [J, K]; where the deadlines cannot all be kept, without them."""
        allowed = now.feasible
        pace = _pace(now, allowed)
        worth = pace / np.maximum(pace.sum(axis=1, keepdims=True), 1e-300)
        if self.per_usd:
            worth = worth / np.maximum(now.price_usd_per_h[now.pool], 1e-9)
        found = None
        if self.deadlines:
            spare_s = np.maximum(now.deadline_s - now.at_s, max(now.round_s, 1e-9))
            late = now.left_s.min(axis=1, initial=np.inf) > spare_s
            floor = np.where(late | ~allowed.any(axis=1), 0.0, _undone(now, allowed) / spare_s)
            found = most(now, allowed, worth, floor)
        if found is None:
            found = most(now, allowed, worth)
        assert found is not None  # without floors there is always the empty allocation
        return found


def _pace(now: Round, allowed: BoolArray) -> FloatArray:
    """Return the share of each job done per second [J, K], 0 where it cannot run."""
    pace: FloatArray = np.where(allowed, now.speed, 0.0)
    return pace


def _equal_pace(now: Round, allowed: BoolArray) -> FloatArray:
    """Return how fast each job [J] would be with an equal share of the pools."""
    pace = (equal_shares(now, allowed) * _pace(now, allowed)).sum(axis=1)
    return np.where(pace > 0, pace, 1.0)


def _undone(now: Round, allowed: BoolArray) -> FloatArray:
    """Return the share of each job [J] that is left, seen from its fastest configuration."""
    left_s = np.where(allowed, now.left_s, np.inf)
    fastest = left_s.argmin(axis=1)
    rows = np.arange(len(fastest))
    able = allowed[rows, fastest]
    undone = np.ones(len(rows))
    undone[able] = left_s[rows, fastest][able] * now.speed[rows, fastest][able]
    return np.maximum(undone, 1e-12)
