"""The whole catalogue of faults at its full counts, one fault a test."""

import pytest

from benchmarks.faults.__main__ import faults
from benchmarks.faults.outcome import Tier


@pytest.mark.parametrize("fault", list(faults()), ids=lambda fault: fault.ID)
def test_the_fault_is_survived(fault, tmp_path):
    outcome = fault.measure(fault.RUNS[Tier.SOAK], 0, tmp_path)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert outcome.passes, outcome.line()
