"""A01: a killed worker is noticed at once and its work goes on."""

from pathlib import Path

import pytest

from benchmarks.faults import a01_worker_killed
from tests.faults.judged import judged


@pytest.mark.serial
def test_a_killed_worker_is_noticed_at_once_and_its_work_goes_on(tmp_path: Path) -> None:
    judged(a01_worker_killed.measure(3, 1, tmp_path), busy=("excess_over_ideal",))
