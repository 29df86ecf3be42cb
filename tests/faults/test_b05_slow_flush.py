"""B5: flushing the disk is slow; the injection is that of the benchmark, with few runs."""

from pathlib import Path

import pytest

from benchmarks.faults.b05_slow_flush import measure

pytestmark = pytest.mark.soak


@pytest.mark.serial
def test_submissions_share_slow_flushes(tmp_path: Path) -> None:
    outcome = measure(1, 0, tmp_path)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert (outcome.lost, outcome.duplicated) == (0, 0)
    assert outcome.passes
