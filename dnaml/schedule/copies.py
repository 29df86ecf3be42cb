"""How many copies a job runs that asks for a probability of completion, and where: the fewest and cheapest that do.

What fails is told by the predicted rate of losing work on each resource over the predicted runtime; copies in one
failure domain share a part of their fate (see `replication`). Copies are chosen before the first one starts; a lost
one leaves the job to the others, and when all are lost they are chosen anew.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dnaml.core.plan import FloatArray, Problem
from dnaml.core.prediction import BoolArray
from dnaml.schedule.feasible import feasibility
from dnaml.schedule.ledger import Entry
from dnaml.schedule.replication import Candidate, fewest_copies

MOST_COPIES = 8


def with_copies(problem: Problem, entries: Sequence[Entry]) -> Problem:
    """Return the problem in which jobs that ask for a probability want their copies, each on a chosen resource.

    Rows of the problem are the entries. A job that no resources make likely enough gets the safest set there is.
    """
    wishes = [(j, entry.job.resilience.completion) for j, entry in enumerate(entries) if not entry.live]
    asked = [(j, wanted) for j, wanted in wishes if wanted is not None]
    if not asked:
        return problem
    jobs, feasible = list(problem.jobs), problem.prediction.feasible.copy()
    allowed, runtime_s = feasibility(problem).matrix, problem.prediction.runtime_s.mean()
    cost_usd = np.nan_to_num(problem.prediction.cost_usd.mean(), nan=0.0)
    for j, wanted in asked:
        candidates = _candidates(problem, allowed[j], runtime_s[j], cost_usd[j])
        chosen = fewest_copies([one for _, one in candidates], wanted, most=MOST_COPIES).chosen
        if len(chosen) >= jobs[j].resilience.replicas:
            entries[j].copies = len(chosen)
            jobs[j] = replace(jobs[j], resilience=replace(jobs[j].resilience, replicas=len(chosen)))
            feasible[j] = False
            feasible[j, [candidates[i][0] for i in chosen]] = True
    return replace(problem, jobs=tuple(jobs), prediction=replace(problem.prediction, feasible=feasible))


def _candidates(
    problem: Problem, allowed: BoolArray, runtime_s: FloatArray, cost_usd: FloatArray
) -> list[tuple[int, Candidate]]:
    """Return column and candidate of each allowed resource; all arrays are [R]."""
    p_fail = -np.expm1(-problem.prediction.hazard_per_h * runtime_s / 3600)
    return [
        (r, Candidate(p_fail=float(p_fail[r]), cost=float(cost_usd[r]), domain=problem.resources[r].domain))
        for r in np.flatnonzero(allowed).tolist()
    ]
