"""A13: poison is set aside and others are unharmed."""

from pathlib import Path

import pytest

from benchmarks.faults import a13_poison
from tests.faults.judged import judged


@pytest.mark.serial
def test_poison_is_set_aside_and_others_are_unharmed(tmp_path: Path) -> None:
    judged(a13_poison.measure(1, 1, tmp_path))
