"""C7 on real agents behind links: the quick tier of the fault, with its bars."""

from pathlib import Path

import pytest

from benchmarks.faults import c07_slow_link as fault


@pytest.mark.soak
@pytest.mark.serial
@pytest.mark.timeout(300)
def test_slow_links_that_are_reset_lose_no_result(tmp_path: Path):
    outcome = fault.measure(1, 0, tmp_path)
    assert outcome.passes, outcome.line()
