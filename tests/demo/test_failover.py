"""What counts as done twice: an attempt that succeeded after another had, not copies that ran side by side."""

import pytest

from dnaml.core.attempt import AttemptState
from dnaml.core.plan import Placement
from dnaml.core.work import Computation, Job
from dnaml.demo.failover import done_again
from dnaml.history import AttemptView, JobView

DONE, LOST, STOPPED, RUNNING = AttemptState.DONE, AttemptState.LOST, AttemptState.STOPPED, AttemptState.RUNNING


def view_of(*attempts: tuple[AttemptState, float, float | None]) -> JobView:
    placement = Placement(job_id="a", resource_id="r0")
    views = [
        AttemptView(
            id=f"a.{number}",
            placement=placement,
            started_at_s=start_s,
            pid=None,
            log=None,
            log_start=0,
            state=state,
            ended_at_s=end_s,
        )
        for number, (state, start_s, end_s) in enumerate(attempts)
    ]
    job = Job(id="a", computation_id="c", submitted_at_s=0.0)
    return JobView(job=job, computation=Computation(id="c", kernel="f"), attempts=views)


@pytest.mark.parametrize(
    ("attempts", "again"),
    [
        ([], False),
        ([(DONE, 0.0, 1.0)], False),
        ([(LOST, 0.0, 1.0), (DONE, 1.5, 2.0)], False),
        ([(DONE, 0.0, 1.0), (DONE, 0.5, 1.1)], False),  # copies, side by side
        ([(DONE, 0.0, 1.0), (STOPPED, 1.2, 1.3)], False),
        ([(DONE, 0.0, 1.0), (RUNNING, 0.5, None)], False),
        ([(DONE, 0.0, 1.0), (DONE, 1.2, 2.0)], True),
        ([(LOST, 0.0, 0.4), (DONE, 3.0, 4.0), (DONE, 0.5, 1.0)], True),
    ],
)
def test_a_job_is_done_again_where_an_attempt_succeeded_that_began_after_another_had(attempts, again):
    assert done_again(view_of(*attempts)) is again
