"""A05: want of memory is no dead node and finds a larger one."""

from pathlib import Path

import pytest

from benchmarks.faults import a05_out_of_memory
from tests.faults.judged import judged


@pytest.mark.serial
def test_want_of_memory_is_no_dead_node_and_finds_a_larger_one(tmp_path: Path) -> None:
    judged(a05_out_of_memory.measure(1, 1, tmp_path))
