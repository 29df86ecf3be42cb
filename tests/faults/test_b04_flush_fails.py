"""B4: flushing the disk fails; the injection is that of the benchmark, with few runs."""

from pathlib import Path

import pytest

from benchmarks.faults.b04_flush_fails import measure


@pytest.mark.serial
def test_nothing_is_acknowledged_that_the_disk_did_not_confirm(tmp_path: Path) -> None:
    outcome = measure(1, 0, tmp_path)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert (outcome.lost, outcome.duplicated) == (0, 0)
    assert outcome.passes
