"""B7: the journal is damaged; the injection is that of the benchmark, with few runs."""

from pathlib import Path

import pytest

from benchmarks.faults.b07_damaged_journal import measure


def test_no_engine_starts_on_a_damaged_journal_in_silence(tmp_path: Path) -> None:
    outcome = measure(12, 0, tmp_path)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert (outcome.lost, outcome.duplicated) == (0, 0)
    assert outcome.passes
