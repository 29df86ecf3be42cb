"""Counts over a tenant's jobs: right, shared, and taken again neither too often nor for nothing."""

from pathlib import Path

import pytest

from dnaml.core import events as ev
from dnaml.core.attempt import JobState, Placement
from dnaml.core.work import Computation, Job
from dnaml.dashboard.reads import QueueQuery
from dnaml.datasets.state import StateFolder
from dnaml.rest.census import MOST_QUERIES, PAUSE, Census, Kept
from dnaml.rest.live import Live


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def __call__(self) -> float:
        return self.at_s


def submitted(live: Live, n: int, tenant: str = "ours") -> None:
    job = Job(id=f"j{n}", computation_id="fit", submitted_at_s=float(n), name=f"Fit {n}", tenant=tenant)
    live.expect(ev.Submitted(at_s=float(n), job=job, computation=Computation(id="fit", kernel="fit")))


def started(live: Live, n: int, resource_id: str) -> None:
    placement = Placement(job_id=f"j{n}", resource_id=resource_id)
    live.happened(
        ev.AttemptStarted(
            at_s=100.0 + n,
            attempt_id=f"j{n}.1",
            epoch=1,
            job_id=f"j{n}",
            placement=placement,
            pid=1,
            log=None,
            log_start=0,
        )
    )


@pytest.fixture
def live(tmp_path: Path) -> Live:
    """Ten jobs of ours, of which three run, and one of another tenant that runs, too."""
    made = Live(StateFolder(tmp_path))
    for n in range(10):
        submitted(made, n)
    submitted(made, 10, "theirs")
    for n, resource_id in ((2, "here"), (7, "there"), (4, "here"), (10, "here")):
        started(made, n, resource_id)
    return made


def test_states_attempts_and_resources_of_one_tenant_are_counted(live: Live) -> None:
    found = Census(live, "ours", Clock()).now()
    assert found.counts == {JobState.PENDING: 7, JobState.RUNNING: 3}
    assert found.running == {"here": 2, "there": 1}
    assert (list(found.placed), found.attempts) == (["j7", "j4", "j2"], 3)
    assert Census(live, "nobody", Clock()).now().counts == {}


def test_pages_are_newest_first_with_and_without_a_filter(live: Live) -> None:
    census = Census(live, "ours", Clock())
    assert census.matching(QueueQuery(limit=3)) == (["j9", "j8", "j7"], 10)
    assert census.matching(QueueQuery(first=8, limit=3)) == (["j1", "j0"], 10)
    assert census.matching(QueueQuery(state=JobState.RUNNING, first=1, limit=1)) == (["j4"], 3)
    assert census.matching(QueueQuery(words="fit 3")) == (["j3"], 1)
    assert census.matching(QueueQuery(words="J7", state=JobState.PENDING)) == ([], 0)


def test_nothing_is_counted_again_before_its_time_or_when_nothing_happened(live: Live) -> None:
    clock = Clock()
    census = Census(live, "ours", clock)
    running = QueueQuery(state=JobState.RUNNING)
    assert (census.now().attempts, census.matching(running)[1]) == (3, 3)
    started(live, 5, "here")
    assert (census.now().attempts, census.matching(running)[1]) == (3, 3)
    clock.at_s += 1.0
    assert (census.now().attempts, census.matching(running)[1]) == (4, 4)
    clock.at_s += 100.0
    assert census.now() is census.now()


def test_a_pass_that_took_long_lets_the_next_wait_twenty_times_as_long() -> None:
    clock, news, passes = Clock(), iter(range(100)), []

    def work() -> int:
        clock.at_s += 0.5
        passes.append(clock.at_s)
        return len(passes)

    kept = Kept(work, lambda: next(news), clock)
    assert [kept.now() for _ in range(3)] == [1, 1, 1]
    clock.at_s += PAUSE * 0.5 - 0.6
    assert kept.now() == 1
    clock.at_s += 0.2
    assert kept.now() == 2


def test_only_so_many_searches_are_remembered(live: Live) -> None:
    census = Census(live, "ours", Clock())
    for n in range(3 * MOST_QUERIES):
        census.matching(QueueQuery(words=f"{n} x"))
    assert len(census._queries) == MOST_QUERIES
