"""What simple policies share: jobs are taken in turn, and each gets the resource that a rule chooses for it."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from dnaml.core.plan import Plan, Problem
from dnaml.schedule.feasible import feasibility
from dnaml.schedule.queues import Board, Choice, copies_of, figures, plan_of

FloatArray = npt.NDArray[np.float64]
Choose = Callable[[int, list[int], Board], int]
"""from a job's row, the columns of the resources it may take, and the queues so far, to the column it gets"""


def plan_in_turn(problem: Problem, choose: Choose, *, order: Sequence[int] | None = None) -> Plan:
    """Return the plan that takes jobs in this order (priority, then arrival by default), one after the other."""
    feasible = feasibility(problem)
    runtime_s = problem.prediction.runtime_s.mean()
    cost_usd = problem.prediction.cost_usd.mean()
    board = Board(problem)
    choices: list[Choice] = []
    unplaced: dict[str, str] = {}
    ends_s = []
    for j in arrivals(problem) if order is None else order:
        candidates = np.flatnonzero(feasible.matrix[j]).tolist()
        if not candidates:
            unplaced[problem.jobs[j].id] = feasible.why_unplaced(j)
            continue
        r = choose(j, candidates, board)
        choices.append((j, r))
        ends_s.append(board.take(r, float(runtime_s[j, r]))[1])
    score = figures(ends_s, [float(cost_usd[j, r]) for j, r in choices])
    copies = copies_of(problem, feasible.matrix, runtime_s, choices)
    return plan_of(problem, choices + copies, unplaced, score=score)


def arrivals(problem: Problem) -> list[int]:
    """Return the rows of the jobs: higher priority first, then as they were submitted."""
    jobs = problem.jobs
    return sorted(range(len(jobs)), key=lambda j: (-jobs[j].priority, jobs[j].submitted_at_s))
