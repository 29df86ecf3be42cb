"""A02: a frozen worker is dead by its silence."""

from pathlib import Path

import pytest

from benchmarks.faults import a02_worker_frozen
from benchmarks.faults.outcome import Tier
from tests.faults.judged import judged


@pytest.mark.serial
def test_a_frozen_worker_is_dead_by_its_silence(tmp_path: Path) -> None:
    judged(a02_worker_frozen.measure(a02_worker_frozen.RUNS[Tier.QUICK], 1, tmp_path))
