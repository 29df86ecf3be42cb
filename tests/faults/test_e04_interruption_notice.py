"""E4 on real workers: the quick tier of the fault, with its bar."""

from pathlib import Path

import pytest

from benchmarks.faults import e04_interruption_notice as fault


@pytest.mark.serial
def test_an_announced_interruption_moves_the_work_in_time_and_loses_no_step(tmp_path: Path):
    outcome = fault.measure(2, 0, tmp_path)
    assert outcome.passes, outcome.line()
