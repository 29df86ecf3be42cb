"""C1: the wall clock may jump: nobody dies of it and no duration is negative."""

from pathlib import Path

import pytest

from benchmarks.faults import c01_wall_clock
from tests.faults.judged import judged


@pytest.mark.serial
def test_jumps_of_the_wall_clock_change_no_lease_and_no_duration(tmp_path: Path) -> None:
    judged(c01_wall_clock.measure(2, 1, tmp_path))
