"""E11 and what it found: a side of a move refuses or dies, and a resource on which no process can start."""

from pathlib import Path

import pytest

from benchmarks.faults import e11_migrations
from benchmarks.faults.calls import waits
from benchmarks.faults.local_case import executor_on, seen
from dnaml.core.attempt import Cause
from dnaml.core.errors import ComputationLost
from dnaml.core.resource import Resource
from tests.faults.judged import judged


def test_a_side_of_a_move_refuses_or_dies_and_little_is_redone(tmp_path: Path) -> None:
    judged(e11_migrations.measure(3, 1, tmp_path), busy=("work_redone_most",))


def test_a_resource_on_which_no_process_can_start_is_at_fault_and_not_the_work(tmp_path: Path) -> None:
    broken = Resource(id="broken", environment={"PYTHONHOME": "/nonexistent"})
    with (
        executor_on(tmp_path, (broken,)) as executor,
        pytest.raises(ComputationLost, match=r"lost 6 times on 1 different resources .*never came up"),
    ):
        executor.submit(waits, 0.0, 1).result(60)
    assert len(seen(tmp_path).lost_attempts(Cause.DIED)) == 6
