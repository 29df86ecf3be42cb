"""Trials: a batch whose runtimes are unsure runs for a round on each configuration that may turn out to be its best.

What a gang ran on is measured from then on, and the work done meanwhile counts. A few such rounds cost less than a plan
for many hours built on errors that look like luck.
"""

from dataclasses import replace

import numpy as np

from dnaml.schedule.rounds.round import NONE, Allocation, BoolArray, FloatArray, Round
from dnaml.schedule.rounds.simple import start_waiting

_SPREADS = 2.0
"""a configuration may be the best while so many standard deviations of it and of the best one let them meet"""
_WORTH_ROUNDS = 100
"""a job shorter than so many rounds ends before what is learned of it pays"""
_CHANGE = 0.2
"""a change may take this share of a round, else too little of the round is left to learn from"""


def wanted(now: Round) -> BoolArray:
    """Return which pairs [J, K] are worth a round of trial: long jobs where they never were, unsure and plausible.

    All False where runtimes are exact or rounds have no length.
    """
    if now.log_sd is None or not now.round_s:
        return np.zeros(now.left_s.shape, dtype=bool)
    unsure = now.feasible & (now.log_sd > 0) & (now.served_s == 0)
    best_s = np.where(now.feasible, now.left_s, np.inf).min(axis=1, initial=np.inf)
    worth = (best_s >= _WORTH_ROUNDS * now.round_s) & (now.restart_s <= _CHANGE * now.round_s)
    plausible = _may_be_least(now.left_s, now) | _may_be_least(now.usd_left, now)
    pairs: BoolArray = unsure & worth[:, None] & plausible
    return pairs


def _may_be_least(cost: FloatArray, now: Round) -> BoolArray:
    """Return where a cost [J, K] may be the least of its job, for all that is known."""
    assert now.log_sd is not None
    spread = np.exp(_SPREADS * now.log_sd)
    cost = np.where(now.feasible, cost, np.inf)
    ceiling = (cost * spread).min(axis=1, keepdims=True, initial=np.inf)
    may: BoolArray = cost <= ceiling * spread
    return may


def allocate(now: Round, pairs: BoolArray) -> Allocation:
    """Return a round of trials: the longest jobs first, each on the fastest of its pairs that fits; others fill up."""
    none = np.full(len(now.numbers), NONE, dtype=np.int64)
    best_s = np.where(now.feasible, now.left_s, np.inf).min(axis=1, initial=np.inf)
    on_trial = start_waiting(replace(now, held=none), np.argsort(-best_s, kind="stable"), now.left_s, pairs)
    work = np.where(now.feasible, now.left_s * now.units, np.inf).min(axis=1, initial=np.inf)
    choice = start_waiting(replace(now, held=on_trial), np.argsort(work, kind="stable"), now.left_s)
    return Allocation(choice=choice, memory=now.memory, again_rounds=1)
