"""Faults of telemetry and models, injected a few times each: bad rows, damaged models, nonsense, slowness, drift."""

import pytest

from benchmarks.faults import (
    b09_damaged_model,
    d01_bad_telemetry,
    d02_wrong_units,
    d03_lost_sensors,
    d05_slower_resource,
    d06_wrong_predictor,
    d07_slow_predictor,
)


@pytest.mark.parametrize(
    ("fault", "runs"),
    [
        (b09_damaged_model, 8),
        (d01_bad_telemetry, 1500),
        (d02_wrong_units, 4),
        (d03_lost_sensors, 12),
        (d05_slower_resource, 2),
        (d06_wrong_predictor, 10),
    ],
)
def test_the_fault_is_survived(fault, runs, tmp_path):
    outcome = fault.measure(runs, 1, tmp_path)
    assert outcome.passes, outcome.line()


@pytest.mark.serial
def test_a_predictor_that_is_always_late_does_not_make_decisions_late(tmp_path):
    outcome = d07_slow_predictor.measure(1000, 1, tmp_path)
    slow = {figure.name: figure.value for figure in outcome.figures}["slow_decisions"]
    assert 2 <= slow < 10, outcome.line()  # under one in a hundred; the ratio of p99s is the benchmark's
