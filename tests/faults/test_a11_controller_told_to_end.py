"""A11: the controller is told to end; the injection is that of the benchmark, with few runs."""

from pathlib import Path

import pytest

from benchmarks.faults.a11_controller_told_to_end import measure


@pytest.mark.serial
def test_a_controller_that_is_told_to_end_leaves_soon_and_loses_nothing(tmp_path: Path) -> None:
    outcome = measure(1, 0, tmp_path)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert (outcome.lost, outcome.duplicated) == (0, 0)
    assert outcome.passes
