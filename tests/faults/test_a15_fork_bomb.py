"""A15: bombs are contained."""

from pathlib import Path

import pytest

from benchmarks.faults import a15_fork_bomb
from benchmarks.faults.outcome import Tier
from tests.faults.judged import judged

pytestmark = pytest.mark.soak


@pytest.mark.serial
def test_bombs_are_contained(tmp_path: Path) -> None:
    judged(a15_fork_bomb.measure(a15_fork_bomb.RUNS[Tier.QUICK], 1, tmp_path), busy=("decision_p99_over_calm",))
