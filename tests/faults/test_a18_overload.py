"""A18: nobody dies of an overload."""

from pathlib import Path

import pytest

from benchmarks.faults import a18_overload
from tests.faults.judged import judged

pytestmark = pytest.mark.soak


@pytest.mark.serial
def test_nobody_dies_of_an_overload(tmp_path: Path) -> None:
    judged(a18_overload.measure(8, 1, tmp_path))
