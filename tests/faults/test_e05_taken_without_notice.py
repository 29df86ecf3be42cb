"""E5 on real workers: the quick tier of the fault, with its bar."""

from pathlib import Path

import pytest

from benchmarks.faults import e05_taken_without_notice as fault


@pytest.mark.serial
def test_a_machine_that_is_taken_away_costs_no_more_than_since_its_last_checkpoint(tmp_path: Path):
    outcome = fault.measure(1, 0, tmp_path)
    assert outcome.passes, outcome.line()
