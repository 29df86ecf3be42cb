"""What would happen to a job now: the decision the scheduler would take, computed on an idle pool and without effect.

It is the same code that decides for real, over whatever predictor is given.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dnaml.answers.decisions import decision_value
from dnaml.core.attempt import Placement
from dnaml.core.plan import Problem
from dnaml.core.protocols import Predictor
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Job, Objective


def outlook(
    job: Job, computation: Computation, resources: Sequence[Resource], predictor: Predictor, objective: Objective
) -> dict[str, Any]:  # JSON values
    """Return what would be decided about a job: a decision's JSON, and `waits_because` where nothing would take it."""
    from dnaml.schedule.agenda import Agenda
    from dnaml.schedule.matching import MatchingPolicy

    policy, pool, at_s = MatchingPolicy(), tuple(resources), job.submitted_at_s
    problem = Problem(
        at_s=at_s,
        jobs=(job,),
        computations=(computation,),
        resources=pool,
        free_in_s=np.zeros(len(pool)),
        prediction=predictor.predict([computation], pool),
        objective=objective,
    )
    plan = policy.plan(problem)
    agenda = Agenda()
    agenda.renew(plan, problem, policy.name)
    placement = plan.placements[0] if plan.placements else Placement(job_id=job.id, resource_id="")
    value = decision_value(agenda.decision(placement, f"{job.id}.1", at_s))
    del value["job_id"], value["attempt_id"]
    return {**value, "chosen": value["chosen"] or None, "waits_because": plan.unplaced.get(job.id) or None}
