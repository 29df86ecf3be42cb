"""A14: what never ends is ended with all it started."""

from pathlib import Path

import pytest

from benchmarks.faults import a14_endless
from tests.faults.judged import judged


@pytest.mark.serial
def test_what_never_ends_is_ended_with_all_it_started(tmp_path: Path) -> None:
    judged(a14_endless.measure(1, 1, tmp_path))
