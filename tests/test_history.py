"""What the history says of a job that waits: only one that began somewhere, or whose place was lost, recovers."""

import pytest

from dnaml.core.attempt import AttemptState, JobState, Placement
from dnaml.core.work import Computation, Job
from dnaml.history import AttemptView, JobView


def ended(state, *, began):
    place = Placement(job_id="job", resource_id="local")
    return AttemptView(
        id="job.1", placement=place, started_at_s=0.0, pid=None, log=None, log_start=0, state=state, began=began
    )


@pytest.mark.parametrize(
    ("attempts", "state"),
    [
        ((), JobState.PENDING),
        ((ended(AttemptState.STOPPED, began=False),), JobState.PENDING),
        ((ended(AttemptState.CANCELLED, began=False),), JobState.PENDING),
        ((ended(AttemptState.STOPPED, began=True),), JobState.RECOVERING),
        ((ended(AttemptState.LOST, began=False),), JobState.RECOVERING),
        ((ended(AttemptState.FAILED, began=True), ended(AttemptState.STOPPED, began=False)), JobState.RECOVERING),
    ],
)
def test_a_job_is_pending_as_long_as_each_attempt_came_back_before_it_began(attempts, state):
    computation = Computation(id="scan", kernel="scan")
    view = JobView(
        job=Job(id="job", computation_id="scan", submitted_at_s=0.0), computation=computation, attempts=list(attempts)
    )
    assert view.waits_as is state
