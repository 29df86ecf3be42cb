"""E8: a job is cancelled at its commit; the injection is that of the benchmark, with few runs."""

from pathlib import Path

import pytest

from benchmarks.faults.e08_cancel_at_commit import measure


def test_a_race_of_cancel_and_commit_has_one_winner_told_to_both(tmp_path: Path) -> None:
    outcome = measure(100, 0, tmp_path)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert (outcome.lost, outcome.duplicated) == (0, 0)
    assert outcome.passes
