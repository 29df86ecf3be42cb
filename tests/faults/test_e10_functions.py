"""E10: functions that are throttled, cold, late or invoked twice commit every result once."""

from pathlib import Path

from benchmarks.faults import e10_functions
from tests.faults.judged import judged


def test_calls_that_are_repeated_commit_once(tmp_path: Path) -> None:
    outcome = e10_functions.measure(6, 1, tmp_path)
    judged(outcome)
    assert outcome.extra["invoked_again"] >= 3
