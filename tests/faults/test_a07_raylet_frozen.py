"""A7 on real raylets: the quick tier of the fault, with its bars."""

from pathlib import Path

import pytest

pytest.importorskip("ray")

from benchmarks.faults import a07_raylet_frozen as fault

pytestmark = pytest.mark.soak


@pytest.mark.ray
@pytest.mark.serial
@pytest.mark.timeout(300)
def test_a_frozen_raylet_is_found_out_by_our_heartbeat_and_says_nothing_that_counts(tmp_path: Path):
    outcome = fault.measure(1, 0, tmp_path)
    assert outcome.passes, outcome.line()
