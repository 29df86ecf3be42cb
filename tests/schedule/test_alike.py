"""Jobs that are judged alike share one row, and what a problem of kinds says is what the whole one says."""

from dataclasses import replace

import numpy as np

from dnaml.core.plan import Problem
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Constraints, Objective
from dnaml.schedule.alike import alike
from dnaml.schedule.matching import MatchingPolicy
from dnaml.schedule.objective import terms
from tests.schedule.doubles import LATENCY, StatedPredictor, job

SORT, SCAN = Computation(id="sort", kernel="sort"), Computation(id="scan", kernel="scan")
RESOURCES = (Resource(id="a", price_usd_per_h=1.0), Resource(id="b", price_usd_per_h=3.0), Resource(id="c"))


def problem_of(jobs, kinds, *, repeated=True):
    prediction = StatedPredictor(seconds={"a": 4.0, "b": 2.0, "c": 3.0}).predict([SORT, SCAN], RESOURCES)
    prediction = prediction.rows(np.array(kinds))
    if not repeated:
        values = prediction.runtime_s.values
        prediction = replace(prediction, runtime_s=replace(prediction.runtime_s.few, values=values))
    return Problem(
        at_s=0.0,
        jobs=tuple(jobs),
        computations=tuple((SORT, SCAN)[kind] for kind in kinds),
        resources=RESOURCES,
        free_in_s=np.array([1.0, 0.0, 5.0]),
        prediction=prediction,
        objective=Objective.of("balanced"),
    )


def of(kind, each):
    return replace(each, computation_id=(SORT, SCAN)[kind].id)


def test_jobs_of_one_computation_are_one_kind():
    kinds = [0, 1, 0, 0, 1]
    problem = problem_of([of(kind, job(f"j{n}")) for n, kind in enumerate(kinds)], kinds)
    found = alike(problem)
    assert found.place.tolist() == kinds
    assert [each.id for each in found.few.jobs] == ["j0", "j1"]
    for name in ("score", "wait_s", "cost_usd", "risk", "late"):
        np.testing.assert_array_equal(getattr(terms(found.few), name)[found.place], getattr(terms(problem), name))


def test_limits_weights_units_and_where_they_may_run_tell_jobs_apart():
    limits = Constraints(deadline_s=100.0)
    jobs = [
        job("plain"),
        replace(job("limited"), constraints=limits),
        replace(job("as limited"), constraints=limits),
        replace(job("later"), constraints=limits, submitted_at_s=1.0),
        replace(job("weighs"), objective=LATENCY),
        replace(job("gang"), units=(2, 2)),
        job("elsewhere"),
        job("as plain"),
    ]
    problem = problem_of([of(0, each) for each in jobs], [0] * len(jobs))
    feasible = problem.prediction.feasible.copy()
    feasible[6, 0] = False
    found = alike(replace(problem, prediction=replace(problem.prediction, feasible=feasible)))
    assert found.place.tolist() == [0, 1, 1, 2, 3, 4, 5, 0]


def test_a_problem_of_unlike_jobs_is_its_own():
    problem = problem_of([of(0, job("x")), of(1, job("y"))], [0, 1])
    assert alike(problem).few is problem
    told = problem_of([of(0, job("x")), of(0, job("y"))], [0, 0], repeated=False)
    assert alike(told).few is told


def test_the_plan_is_the_same_whether_kinds_are_known_or_not():
    kinds = [0, 1, 0, 0, 1, 0]
    jobs = [of(kind, job(f"j{n}")) for n, kind in enumerate(kinds)]
    known, unknown = (MatchingPolicy().plan(problem_of(jobs, kinds, repeated=each)) for each in (True, False))
    assert known.placements == unknown.placements
    np.testing.assert_allclose(list(known.score.values()), list(unknown.score.values()))
