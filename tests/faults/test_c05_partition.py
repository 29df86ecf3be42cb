"""C5 on real agents behind links: the quick tier of the fault, with its bars."""

from pathlib import Path

import pytest

from benchmarks.faults import c05_partition as fault


@pytest.mark.soak
@pytest.mark.serial
@pytest.mark.timeout(300)
def test_a_node_that_is_cut_off_stops_and_takes_part_again_once_it_is_back(tmp_path: Path):
    outcome = fault.measure(1, 0, tmp_path)
    assert outcome.passes, outcome.line()
