"""A9: the controller is killed under load; the injection is that of the benchmark, with few runs."""

from pathlib import Path

import pytest

from benchmarks.faults.a09_controller_killed import measure


@pytest.mark.serial
def test_what_a_killed_controller_accepted_ends_once(tmp_path: Path) -> None:
    outcome = measure(3, 0, tmp_path)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert (outcome.lost, outcome.duplicated) == (0, 0)
    assert outcome.passes
