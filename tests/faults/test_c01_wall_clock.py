"""C1 and C2: wall clocks that jump or differ change no lease, no deadline, no duration and no order."""

from pathlib import Path

from benchmarks.faults import c01_wall_clock, c02_skewed_workers
from tests.faults.judged import judged


def test_jumps_of_the_wall_clock_change_no_lease_and_no_duration(tmp_path: Path) -> None:
    judged(c01_wall_clock.measure(2, 1, tmp_path), busy=("longest_duration",))


def test_workers_whose_clocks_differ_change_no_order(tmp_path: Path) -> None:
    judged(c02_skewed_workers.measure(1, 1, tmp_path), busy=("longest_duration",))
