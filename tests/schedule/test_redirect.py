"""A resource that comes free takes the planned job that gains most by it; where that is none, it stays free."""

from dataclasses import replace

import numpy as np

from dnaml.core.attempt import Placement
from dnaml.core.plan import Plan, Problem
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Constraints
from dnaml.schedule.agenda import Agenda
from dnaml.schedule.ledger import Entry
from dnaml.schedule.objective import terms
from dnaml.schedule.redirect import Redirect
from tests.schedule.doubles import LATENCY, StatedPredictor, job

SORT = Computation(id="sort", kernel="sort")
RESOURCES = (Resource(id="busy"), Resource(id="free"), Resource(id="slow"))
SECONDS = {"busy": 2.0, "free": 3.0, "slow": 100.0}


def problem_of(*jobs, at_s=10.0):
    return Problem(
        at_s=at_s,
        jobs=jobs,
        computations=(SORT,) * len(jobs),
        resources=RESOURCES,
        free_in_s=np.array([4.0, 8.0, 0.0]),
        prediction=StatedPredictor(seconds=SECONDS).predict([SORT] * len(jobs), RESOURCES),
        objective=LATENCY,
    )


def planned_on_busy(*jobs):
    return {"busy": [Placement(job_id=each.id, resource_id="busy") for each in jobs]}


def redirect_of(*jobs, queues=None):
    problem = problem_of(*jobs)
    row_of = {each.id: row for row, each in enumerate(jobs)}
    return Redirect(problem, terms(problem), planned_on_busy(*jobs) if queues is None else queues, row_of)


def test_the_job_that_would_wait_longest_gains_most():
    found = redirect_of(job("first"), job("second"), job("third"))
    assert [found.best(1, 10.0).job_id for _ in range(3)] == ["third", "second", "first"]
    assert found.best(1, 10.0) is None


def test_who_would_take_longer_there_than_with_the_wait_does_not_go():
    assert redirect_of(job("first")).best(2, 10.0) is None


def test_a_wait_that_is_nearly_over_is_worth_nothing():
    found = redirect_of(job("first"))
    assert found.best(1, 13.5) is None
    assert found.best(1, 12.5).job_id == "first"


def test_gangs_parts_and_copies_stay_where_they_are_planned():
    jobs = [job("copied", replicas=2), job("gang"), job("part"), job("plain")]
    on = [Placement(job_id=each.id, resource_id="busy") for each in jobs]
    on[1], on[2] = replace(on[1], units=2), replace(on[2], share=0.5, parts=2)
    found = redirect_of(*jobs, queues={"busy": on})
    assert found.best(1, 10.0).job_id == "plain"
    assert found.best(1, 10.0) is None


def test_a_job_does_not_go_where_it_may_not_run():
    assert redirect_of(job("tied", constraints=Constraints(resource_ids=("busy",)))).best(1, 10.0) is None


def test_without_placements_nobody_goes():
    assert redirect_of(job("first"), queues={}).best(1, 10.0) is None


# -- by the agenda -----------------------------------------------------------------------------------------------------


def agenda_of(*names):
    jobs = [job(name) for name in names]
    agenda = Agenda()
    agenda.window = {each.id: Entry(each, SORT, 1) for each in jobs}
    placements = tuple(Placement(job_id=name, resource_id="busy") for name in names)
    agenda.renew(Plan(placements=placements), problem_of(*jobs), "by hand")
    return agenda


def test_the_agenda_starts_it_on_the_resource_that_came_free_and_nowhere_else():
    agenda = agenda_of("first", "second")
    agenda.draw("free", 10.0)
    taken = agenda.next("free")
    assert (taken.job_id, taken.resource_id) == ("second", "free")
    agenda.forget("second")
    assert (agenda.next("busy").job_id, agenda.next("busy")) == ("first", None)


def test_what_is_planned_on_the_resource_comes_before_others():
    agenda = agenda_of("first", "second")
    agenda.draw("busy", 10.0)
    assert [agenda.next("busy").job_id, agenda.next("busy").job_id] == ["first", "second"]


def test_a_job_that_has_begun_or_is_over_is_passed_by():
    agenda = agenda_of("first", "second")
    agenda.forget("second")
    agenda.draw("free", 10.0)
    assert agenda.next("free").job_id == "first"
    agenda.forget("first")
    agenda.draw("free", 10.0)
    assert agenda.next("free") is None


def test_a_resource_that_came_after_the_plan_takes_nothing():
    agenda = agenda_of("first")
    agenda.draw("new", 10.0)
    Agenda().draw("new", 10.0)
    assert agenda.next("new") is None
