"""A12: two controllers on one folder; the injection is that of the benchmark, with few runs."""

from pathlib import Path

import pytest

from benchmarks.faults.a12_two_controllers import measure


@pytest.mark.serial
def test_a_frozen_controller_that_wakes_up_commits_nothing_of_its_own(tmp_path: Path) -> None:
    outcome = measure(1, 0, tmp_path)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert (outcome.lost, outcome.duplicated) == (0, 0)
    assert outcome.passes
