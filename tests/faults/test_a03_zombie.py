"""A03: what a zombie says is refused."""

from pathlib import Path

import pytest

from benchmarks.faults import a03_zombie
from tests.faults.judged import judged


@pytest.mark.serial
def test_what_a_zombie_says_is_refused(tmp_path: Path) -> None:
    judged(a03_zombie.measure(3, 1, tmp_path))
