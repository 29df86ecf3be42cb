"""N4: durable submissions; what does not hang on the speed of a loaded machine is asserted here."""

from pathlib import Path

import pytest

from benchmarks.faults.n04_durable_submissions import measure


@pytest.mark.serial
def test_submissions_that_survive_power_loss_share_flushes(tmp_path: Path) -> None:
    outcome = measure(1, 0, tmp_path)
    assert outcome.lost == 0
    batches, single, _ = outcome.figures
    assert batches.value >= batches.bar / 5  # a loaded machine is slow; the bars are the benchmark's
    assert single.value >= single.bar / 5
