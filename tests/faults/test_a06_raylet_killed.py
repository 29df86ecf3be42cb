"""A6 on real raylets: the quick tier of the fault, with its bars."""

from pathlib import Path

import pytest

pytest.importorskip("ray")

from benchmarks.faults import a06_raylet_killed as fault


@pytest.mark.ray
@pytest.mark.serial
@pytest.mark.timeout(300)
def test_a_killed_raylet_costs_little_more_than_the_work_it_takes_away(tmp_path: Path):
    outcome = fault.measure(1, 0, tmp_path)
    assert outcome.passes, outcome.line()
