"""Placing jobs one after the other into what is left of the pools; the step that most round policies share."""

from collections.abc import Sequence

import numpy as np

from dnaml.schedule.rounds.round import NONE, BoolArray, FloatArray, IntArray, Round


def fill(now: Round, order: Sequence[int], preference: Sequence[Sequence[int]]) -> IntArray:
    """Return a choice [J]: each job in `order` takes the first of its preferred configurations that still fits."""
    free = now.capacity.tolist()
    pool, units = now.pool.tolist(), now.units.tolist()
    choice = np.full(len(now.numbers), NONE, dtype=np.int64)
    for j in order:
        wanted = units[j]
        for k in preference[j]:
            if free[pool[k]] >= wanted[k]:
                free[pool[k]] -= wanted[k]
                choice[j] = k
                break
    return choice


def preferences(cost: FloatArray, allowed: BoolArray) -> list[list[int]]:
    """Return for each job its allowed configurations by rising cost [J, K]."""
    ranked = np.argsort(np.where(allowed, cost, np.inf), axis=1, kind="stable")
    counts = allowed.sum(axis=1)
    return [row[:count] for row, count in zip(ranked.tolist(), counts.tolist(), strict=True)]
