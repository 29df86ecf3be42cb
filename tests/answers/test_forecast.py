"""When unfinished jobs are expected to end: what runs counts down, what waits stands in line behind it."""

from pathlib import Path

import pytest

from dnaml.answers.forecast import forecast
from dnaml.core.attempt import JobState, Placement
from dnaml.core.protocols import Run
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Job
from dnaml.datasets.state import StateFolder
from dnaml.history import AttemptView, History, JobView
from dnaml.predict.placing import LivePredictor

AT_S = 1000.0
ONE = Resource(id="one")
TASK = Computation(id="task", kernel="task")


def known_predictor(runtime_s):
    runs = [Run(computation=TASK, resource=ONE, runtime_s=runtime_s, at_s=float(at)) for at in range(12)]
    return LivePredictor().updated(runs)


def history_of(*views, resources=(ONE,)):
    history = History(StateFolder(Path("state")))
    history.jobs = {view.id: view for view in views}
    history.resources = {one.id: one for one in resources}
    return history


def waiting(job_id):
    return JobView(job=Job(id=job_id, computation_id="task", submitted_at_s=AT_S), computation=TASK)


def running(job_id, *, since_s, resource_id="one"):
    view = waiting(job_id)
    view.state = JobState.RUNNING
    view.attempts.append(
        AttemptView(
            id=f"{job_id}.1",
            placement=Placement(job_id=job_id, resource_id=resource_id),
            started_at_s=AT_S - since_s,
            pid=None,
            log=None,
            log_start=0,
        )
    )
    return view


def test_a_running_job_counts_down_and_the_others_follow_one_by_one():
    history = history_of(running("a", since_s=4.0), waiting("b"), waiting("c"))
    first, second, third = forecast(history, known_predictor(10.0), AT_S)
    assert (first.job_id, first.reason) == ("a", "running")
    assert first.end_in_s[1] == pytest.approx(6.0, abs=1.0)
    assert second.start_in_s == first.end_in_s
    assert third.start_in_s == second.end_in_s
    assert third.end_in_s[0] < third.end_in_s[1] < third.end_in_s[2]
    assert {second.job_id, third.job_id} == {"b", "c"}


def test_a_job_that_runs_longer_than_predicted_is_due_now():
    (only,) = forecast(history_of(running("a", since_s=500.0)), known_predictor(10.0), AT_S)
    assert only.end_in_s == (0.0, 0.0, 0.0)


def test_two_slots_take_two_jobs_at_once():
    pool = (Resource(id="one", slots=2),)
    rows = forecast(history_of(waiting("a"), waiting("b"), resources=pool), known_predictor(10.0), AT_S)
    assert [row.start_in_s[1] for row in rows] == [0.0, 0.0]


def test_without_a_resource_nothing_can_be_said_but_why():
    (only,) = forecast(history_of(waiting("a"), resources=()), known_predictor(1.0), AT_S)
    assert (only.resource_id, only.reason) == (None, "no resource is known")
    (gone,) = forecast(history_of(running("a", since_s=1.0, resource_id="gone")), known_predictor(1.0), AT_S)
    assert gone.reason == "its resource is gone"


def test_what_no_resource_may_take_says_why():
    view = waiting("a")
    large = Computation(id="task", kernel="task", memory_bytes=2**40)
    small = Resource(id="one", memory_bytes=2**30)
    history = history_of(JobView(job=view.job, computation=large), resources=(small,))
    (only,) = forecast(history, known_predictor(1.0), AT_S)
    assert only.resource_id is None
    assert "1.0 GiB" in only.reason
