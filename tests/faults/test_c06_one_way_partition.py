"""C6 on real agents behind links: the quick tier of the fault, with its bars."""

from pathlib import Path

import pytest

from benchmarks.faults import c06_one_way_partition as fault


@pytest.mark.soak
@pytest.mark.serial
@pytest.mark.timeout(300)
def test_a_node_that_is_cut_off_one_way_commits_nothing_twice(tmp_path: Path):
    outcome = fault.measure(1, 0, tmp_path)
    assert outcome.passes, outcome.line()
