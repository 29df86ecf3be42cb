"""B02: a torn checkpoint is never loaded."""

from pathlib import Path

from benchmarks.faults import b02_torn_checkpoint
from tests.faults.judged import judged


def test_a_torn_checkpoint_is_never_loaded(tmp_path: Path) -> None:
    judged(b02_torn_checkpoint.measure(2, 1, tmp_path))
