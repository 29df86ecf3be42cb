"""E3 on real workers, with short work: what it costs beyond the least is the benchmark's to say."""

from pathlib import Path

import pytest

from benchmarks.faults import e03_price_jump as fault


@pytest.mark.serial
def test_after_a_price_jumped_nothing_starts_there_and_nothing_goes_to_and_fro(tmp_path: Path):
    outcome = fault.measure(1, 3, tmp_path, steps=30)
    figures = {figure.name: figure for figure in outcome.figures}
    assert (outcome.lost, outcome.duplicated) == (0, 0), outcome.line()
    assert all(figures[name].holds for name in ("ping_pong", "started_dear", "wrong_results")), outcome.line()
