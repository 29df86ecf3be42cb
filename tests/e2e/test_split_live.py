"""Divisible calls really run in parts on several resources, and their results are joined in order."""

import time

import pytest

import dnaml
from dnaml.core.errors import InputError
from dnaml.core.resource import Resource
from dnaml.history import History

POOL = (Resource(id="left", price_usd_per_h=1.0), Resource(id="right", price_usd_per_h=1.0))


def squares(numbers):
    time.sleep(0.02 * len(numbers))
    return [number * number for number in numbers]


def total(numbers):
    time.sleep(0.02 * len(numbers))
    return sum(numbers)


@pytest.mark.serial
def test_a_divisible_call_that_is_known_runs_in_parts(tmp_path):
    numbers = list(range(100))
    with dnaml.Executor(POOL, state=tmp_path, objective="min_latency", cores=2) as executor:
        whole = executor.options(divisible=True, max_parts=1)
        assert [whole.submit(squares, numbers).result()[-1] for _ in range(3)] == [99 * 99] * 3
        split = executor.options(divisible=True).submit(squares, numbers)
        assert split.result() == [number * number for number in numbers]
        added = executor.options(divisible=True, join=sum)
        assert [added.submit(total, numbers).result() for _ in range(4)] == [4950] * 4
    view = History.read(tmp_path).jobs[split.job_id]
    assert {attempt.placement.parts for attempt in view.attempts} == {2}
    assert {attempt.placement.resource_id for attempt in view.attempts} == {"left", "right"}
    assert History.read(tmp_path).outcome(view) is None


def test_less_than_one_part_is_refused(tmp_path):
    with (
        dnaml.Executor(POOL, state=tmp_path) as executor,
        pytest.raises(InputError, match="max_parts must be at least 1, got 0"),
    ):
        executor.options(max_parts=0)
