"""B11: a newer version is refused by name."""

from pathlib import Path

from benchmarks.faults import b11_newer_checkpoint
from benchmarks.faults.outcome import Tier
from tests.faults.judged import judged


def test_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    judged(b11_newer_checkpoint.measure(b11_newer_checkpoint.RUNS[Tier.QUICK], 1, tmp_path))
