"""Which jobs of a problem are judged alike: what J says of one of them it says of all, and is computed once.

Jobs that share a row of the prediction are alike where they may use the same resources, under the same limits and
weights. In a long queue of few computations nearly all are.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from dnaml.core.plan import IntArray, Problem
from dnaml.core.prediction import Repeated
from dnaml.core.work import Constraints, Job

_NO_LIMITS = Constraints()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alike:
    """Holds a problem of unlike jobs and the place [J] among them of each job of the whole one."""

    few: Problem
    place: IntArray


@lru_cache(maxsize=1)
def alike(problem: Problem) -> Alike:
    """Return the problem with one job of each kind, the problem itself where no two are known to be alike.

    The newest answer is kept: who plans and who explains the plan ask for the same one.
    """
    runtime_s = problem.prediction.runtime_s
    if not isinstance(runtime_s, Repeated):
        return Alike(few=problem, place=np.arange(len(problem.jobs)))
    allowed = problem.prediction.feasible
    kinds: dict[object, int] = {}
    firsts: list[int] = []
    place = np.empty(len(problem.jobs), dtype=np.int64)
    for j, (job, row) in enumerate(zip(problem.jobs, runtime_s.index.tolist(), strict=True)):
        place[j] = kinds.setdefault((row, *_judged_by(job), allowed[j].tobytes()), len(kinds))
        if place[j] == len(firsts):
            firsts.append(j)
    if len(firsts) == len(problem.jobs):
        return Alike(few=problem, place=place)
    few = replace(
        problem,
        jobs=tuple(problem.jobs[j] for j in firsts),
        computations=tuple(problem.computations[j] for j in firsts),
        prediction=problem.prediction.rows(np.array(firsts)),
        similarity=None,
    )
    return Alike(few=few, place=place)


def _judged_by(job: Job) -> tuple[object, ...]:
    """Return what else J depends on; limits and weights that equal others' may still be another object."""
    limits, since_s = (None, 0.0) if job.constraints == _NO_LIMITS else (id(job.constraints), job.submitted_at_s)
    return job.computation_id, limits, since_s, id(job.objective), job.units
