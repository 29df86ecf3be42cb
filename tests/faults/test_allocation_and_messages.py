"""Faults of allocation and messages, injected a few times each: wrong replicas, flapping, repeated and late words."""

import pytest

from benchmarks.faults import a17_flapping, c03_repeated_messages, c04_late_messages, e01_wrong_replica
from tests.faults.judged import judged


@pytest.mark.parametrize(
    ("fault", "runs"),
    [(a17_flapping, 1), (c03_repeated_messages, 20), (c04_late_messages, 20), (e01_wrong_replica, 200)],
)
def test_the_fault_is_survived(fault, runs, tmp_path):
    judged(fault.measure(runs, 1, tmp_path))
