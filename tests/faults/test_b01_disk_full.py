"""B01: a full disk keeps the checkpoint before."""

from pathlib import Path

from benchmarks.faults import b01_disk_full
from tests.faults.judged import judged


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path) -> None:
    judged(b01_disk_full.measure(30, 1, tmp_path))
