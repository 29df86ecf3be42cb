"""B8: the disk is full; the injection is that of the benchmark, with few runs."""

from pathlib import Path

import pytest

from benchmarks.faults.b08_full_disk import measure


def test_a_full_disk_stops_admission_and_nothing_else(tmp_path: Path) -> None:
    outcome = measure(1, 0, tmp_path)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert (outcome.lost, outcome.duplicated) == (0, 0)
    assert outcome.passes
