"""What would happen to a job now: the decision the scheduler would take, computed without an engine and without effect.

It is the same code that decides for real, given the runs of the state folder and an idle pool.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dnaml.answers.predictors import predictor_of as predictor_of
from dnaml.cli.work import Work
from dnaml.core.attempt import Placement
from dnaml.core.plan import Decision, Problem
from dnaml.core.resource import Resource

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """The decision that would be taken; `chosen` is empty and `reason` says why when nothing may take the job."""

    decision: Decision
    placed: bool
    reason: str


def outlook(work: Work, resources: Sequence[Resource], state: "Path") -> Outlook:
    """Return what the scheduler would decide about a job over these resources."""
    from dnaml.schedule.agenda import Agenda
    from dnaml.schedule.matching import MatchingPolicy

    at_s = time.time()
    predictor, policy = predictor_of(state), MatchingPolicy()
    pool = tuple(resources)
    job = work.as_job(pool, at_s)
    problem = Problem(
        at_s=at_s,
        jobs=(job,),
        computations=(work.computation,),
        resources=pool,
        free_in_s=np.zeros(len(pool)),
        prediction=predictor.predict([work.computation], pool),
        objective=work.job.objective(),
    )
    plan = policy.plan(problem)
    agenda = Agenda()
    agenda.renew(plan, problem, policy.name)
    placed = bool(plan.placements)
    placement = plan.placements[0] if placed else Placement(job_id=job.id, resource_id="")
    decision = agenda.decision(placement, f"{job.id}.1", at_s)
    return Outlook(decision=decision, placed=placed, reason=plan.unplaced.get(job.id, ""))
