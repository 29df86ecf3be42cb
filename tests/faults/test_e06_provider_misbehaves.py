"""E6 on real processes: the quick tier of the fault, with its bar."""

from pathlib import Path

import pytest

from benchmarks.faults import e06_provider_misbehaves as fault


@pytest.mark.serial
@pytest.mark.soak
def test_a_provider_that_misbehaves_costs_nothing_beyond_the_cap(tmp_path: Path):
    outcome = fault.measure(2, 0, tmp_path)
    assert outcome.passes, outcome.line()
