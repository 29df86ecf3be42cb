"""N02: checkpoints are cheap and bound what is redone."""

from pathlib import Path

import pytest

from benchmarks.faults import n02_checkpoints
from benchmarks.faults.outcome import Tier
from tests.faults.judged import judged

pytestmark = pytest.mark.soak


@pytest.mark.serial
def test_checkpoints_are_cheap_and_bound_what_is_redone(tmp_path: Path) -> None:
    judged(n02_checkpoints.measure(n02_checkpoints.RUNS[Tier.QUICK], 1, tmp_path), busy=("overhead",))
