"""A round over very many jobs looks at those that matter now: what runs, what is urgent, and the shortest of the rest.

What a decision costs then follows the pools, not the queue; whoever is left out waits and is looked at again.
"""

from dataclasses import fields, replace

import numpy as np

from dnaml.schedule.rounds.round import FloatArray, IntArray, Round

MOST_JOBS = 1024
"""looked at in one round, or twice as many as there are units if that is more"""
PER_JOB = (
    "numbers",
    "left_s",
    "whole_s",
    "speed",
    "units",
    "held",
    "arrived_s",
    "deadline_s",
    "weight",
    "restart_s",
    "starts",
    "restarting",
    "served_s",
    "log_sd",
)
"""the fields of a round that have a row for each job"""


def only(now: Round, rows: IntArray) -> Round:
    """Return the round of some of its jobs."""
    given = {field.name: getattr(now, field.name) for field in fields(now) if field.name in PER_JOB}
    some = {name: values[rows] for name, values in given.items() if values is not None}
    return replace(now, together=now.together and now.together.of(rows), **some)


def window(now: Round, most: int = MOST_JOBS) -> IntArray:
    """Return the rows that a round looks at, by arrival: all that hold units, then half by slack and half by work.

    Work is the least of what is left in unit-seconds; slack counts where there is a deadline.
    """
    most = max(most, 2 * int(now.capacity.sum()))
    count = len(now.numbers)
    if count <= most:
        return np.arange(count)
    able = now.feasible
    best_s = np.where(able, now.left_s, np.inf).min(axis=1)
    work = np.where(able, now.left_s * now.units, np.inf).min(axis=1)
    with np.errstate(invalid="ignore"):
        slack_s = now.deadline_s - now.at_s - best_s
    taken = now.held >= 0
    urgent = np.where(taken | ~np.isfinite(slack_s), np.inf, slack_s)
    first = _least(urgent, (most - int(taken.sum())) // 2)
    taken[first] = True
    taken[_least(np.where(taken, np.inf, work), most - int(taken.sum()))] = True
    return np.flatnonzero(taken)


def _least(values: FloatArray, count: int) -> IntArray:
    """Return the places of the least finite values, at most so many; of equal ones the earlier."""
    order = np.argsort(values, kind="stable")[: max(0, count)]
    least: IntArray = order[np.isfinite(values[order])]
    return least
