"""B6: the database is locked; the injection is that of the benchmark, with few runs."""

from pathlib import Path

import pytest

from benchmarks.faults.b06_locked import measure


@pytest.mark.serial
@pytest.mark.soak
def test_a_locked_database_is_waited_for_and_told(tmp_path: Path) -> None:
    outcome = measure(1, 0, tmp_path)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert (outcome.lost, outcome.duplicated) == (0, 0)
    assert outcome.passes
