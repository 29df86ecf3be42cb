"""B03: every flipped bit is noticed."""

from pathlib import Path

from benchmarks.faults import b03_bit_flips
from benchmarks.faults.outcome import Tier
from tests.faults.judged import judged


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    judged(b03_bit_flips.measure(b03_bit_flips.RUNS[Tier.QUICK], 1, tmp_path))
