"""Faults of allocation and messages, injected a few times each: wrong replicas, flapping, repeated and late words."""

import pytest

from benchmarks.faults import (
    a16_nothing_left,
    a17_flapping,
    c03_repeated_messages,
    c04_late_messages,
    e01_wrong_replica,
    e02_bit_flips_in_results,
    e12_shards_and_gangs,
)
from tests.faults.judged import judged


@pytest.mark.parametrize(
    ("fault", "runs"),
    [
        (a17_flapping, 1),
        (c03_repeated_messages, 20),
        (c04_late_messages, 20),
        (e01_wrong_replica, 200),
        (e02_bit_flips_in_results, 2),
    ],
)
def test_the_fault_is_survived(fault, runs, tmp_path):
    judged(fault.measure(runs, 1, tmp_path))


def test_the_queue_is_kept_while_every_resource_is_gone(tmp_path):
    judged(a16_nothing_left.measure(2, 1, tmp_path), busy=("first_start", "idle_cpu"))


def test_only_the_shard_that_was_lost_is_redone_and_no_gang_is_stuck(tmp_path):
    judged(e12_shards_and_gangs.measure(1, 1, tmp_path))
