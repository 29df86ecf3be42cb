"""A12: two controllers on one folder; the injection is that of the benchmark, with few runs."""

from pathlib import Path

import pytest

from benchmarks.faults.a12_two_controllers import measure, measure_on
from tests.contracts.postgres_server import server


@pytest.mark.serial
def test_a_frozen_controller_that_wakes_up_commits_nothing_of_its_own(tmp_path: Path) -> None:
    outcome = measure(1, 0, tmp_path)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert (outcome.lost, outcome.duplicated) == (0, 0)
    assert outcome.passes


@pytest.mark.serial
@pytest.mark.soak
def test_a_frozen_controller_on_postgresql_is_fenced_when_it_wakes_up(tmp_path: Path) -> None:
    with server() as url:
        outcome = measure_on(url, 1, 0, tmp_path)
    assert outcome.passes, outcome.line()
