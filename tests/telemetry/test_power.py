"""Power: a stated model without a sensor, a counter that may wrap with one."""

import itertools
from types import SimpleNamespace

import pytest

from dnaml.telemetry import power
from dnaml.telemetry.power import PackagePower, PowerModel, core_power, energy_j, power_model


def test_the_model_rises_from_its_idle_share_to_tdp_and_stays_there():
    model = PowerModel(tdp_w=100.0, cores=4)
    assert [model.watts(busy) for busy in (-1, 0, 2, 4, 9)] == pytest.approx([30.0, 30.0, 65.0, 100.0, 100.0])


def test_work_on_one_core_is_charged_its_share_of_tdp():
    assert PowerModel(tdp_w=100.0, cores=4).attributable_w(1.0) == 25.0
    assert power_model().attributable_w(1.0) == pytest.approx(6.0)


def test_power_without_a_sensor_is_marked_as_estimated():
    assert core_power()["power_is_estimated"] == 1.0
    assert core_power(sensed_w=42.0) == {"power_w": 42.0, "power_is_estimated": 0.0}


def test_an_energy_counter_becomes_watts_and_a_wrap_is_dropped(tmp_path, monkeypatch):
    seconds = itertools.count(0.0, 2.0)
    monkeypatch.setattr(power, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    counter = tmp_path / "energy_uj"
    counter.write_text("1000000\n")
    package = PackagePower(tmp_path)
    counter.write_text("21000000\n")
    assert package.watts() == 10.0
    counter.write_text("5\n")
    assert package.watts() is None
    counter.write_text("4000005\n")
    assert package.watts() == 2.0


def test_a_machine_without_counter_has_no_sensed_power(tmp_path):
    assert energy_j(tmp_path) is None
    assert PackagePower(tmp_path).watts() is None
