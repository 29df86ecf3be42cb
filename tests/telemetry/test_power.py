"""Power without a sensor: a stated model that says so."""

from dnaml.telemetry.power import core_power


def test_work_on_one_core_is_charged_its_share_of_tdp_and_marked_as_estimated():
    assert core_power() == {"power_w": 6.0, "power_is_estimated": 1.0}
