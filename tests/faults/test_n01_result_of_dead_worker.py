"""N01: a finished result outlives its worker."""

from pathlib import Path

import pytest

from benchmarks.faults import n01_result_of_dead_worker
from tests.faults.judged import judged


@pytest.mark.serial
def test_a_finished_result_outlives_its_worker(tmp_path: Path) -> None:
    judged(n01_result_of_dead_worker.measure(5, 1, tmp_path))
