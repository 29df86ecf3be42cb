"""A04: a straggler is overtaken and little is redone."""

from pathlib import Path

import pytest

from benchmarks.faults import a04_straggler
from tests.faults.judged import judged


@pytest.mark.serial
@pytest.mark.soak
def test_a_straggler_is_overtaken_and_little_is_redone(tmp_path: Path) -> None:
    judged(a04_straggler.measure(1, 1, tmp_path), busy=("makespan_over_clean",))
