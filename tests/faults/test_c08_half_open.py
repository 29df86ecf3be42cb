"""C8 on real agents behind links: the quick tier of the fault, with its bars."""

from pathlib import Path

import pytest

from benchmarks.faults import c08_half_open as fault


@pytest.mark.serial
@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_node_that_vanished_without_a_word_is_missed_by_its_heartbeats(tmp_path: Path):
    outcome = fault.measure(1, 0, tmp_path)
    assert outcome.passes, outcome.line()
