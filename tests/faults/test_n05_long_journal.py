"""N5: a long journal; the injection is that of the benchmark, with few runs."""

from pathlib import Path

import pytest

from benchmarks.faults.n05_long_journal import measure

pytestmark = pytest.mark.soak


@pytest.mark.serial
def test_a_restart_on_a_long_journal_is_soon_ready(tmp_path: Path) -> None:
    outcome = measure(3000, 0, tmp_path)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert (outcome.lost, outcome.duplicated) == (0, 0)
    assert outcome.passes
