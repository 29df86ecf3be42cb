"""Placing jobs one after the other into what is left of the pools; the step that most round policies share."""

from collections.abc import Sequence

import numpy as np

from dnaml.schedule.rounds.round import NONE, BoolArray, FloatArray, IntArray, Round


def fill(
    now: Round, order: Sequence[int], preference: Sequence[Sequence[int]], *, head_blocks: bool = False
) -> IntArray:
    """Return a choice [J]: each job in `order` takes the first of its preferred configurations that still fits.

    With `head_blocks` nobody overtakes a job that does not fit.
    """
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
        else:
            if head_blocks:
                break
    return choice


def preferences(cost: FloatArray, allowed: BoolArray) -> list[list[int]]:
    """Return for each job its allowed configurations by rising cost [J, K]."""
    ranked = np.argsort(np.where(allowed, cost, np.inf), axis=1, kind="stable")
    counts = allowed.sum(axis=1)
    return [row[:count] for row, count in zip(ranked.tolist(), counts.tolist(), strict=True)]


def improve(now: Round, choice: IntArray, order: Sequence[int], preference: Sequence[Sequence[int]]) -> None:
    """Let each placed job, in order, move to a configuration it prefers where that is now free; changes `choice`."""
    free = now.capacity.tolist()
    pool, units = now.pool.tolist(), now.units.tolist()
    chosen = choice.tolist()
    for j, k in enumerate(chosen):
        if k != NONE:
            free[pool[k]] -= units[j][k]
    for j in order:
        held = chosen[j]
        if held == NONE:
            continue
        free[pool[held]] += units[j][held]
        for k in preference[j]:
            if k == held or free[pool[k]] >= units[j][k]:
                break
        else:
            k = held
        free[pool[k]] -= units[j][k]
        choice[j] = k
