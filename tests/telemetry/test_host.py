"""Telemetry of this machine: possible values, and nothing for what it does not show."""

import os
from types import SimpleNamespace

import psutil

from dnaml.datasets.samples import broken_metric
from dnaml.telemetry import host
from dnaml.telemetry.host import HostCollector


def test_the_machine_is_read_with_possible_values_only():
    metrics = HostCollector().sample()
    assert broken_metric(metrics) is None
    assert 0.0 <= metrics["cpu_busy_share"] <= 1.0
    total_bytes = metrics["memory_used_bytes"] + metrics["memory_free_bytes"]
    assert abs(total_bytes - psutil.virtual_memory().total) < 2**20
    assert {"load_per_core", "disk_read_bytes", "network_sent_bytes"} <= metrics.keys()


def test_pressure_is_a_share_where_the_kernel_shows_it():
    shares = {key: value for key, value in HostCollector().sample().items() if key.endswith("_pressure_share")}
    assert bool(shares) == os.path.exists("/proc/pressure/cpu")
    assert all(0.0 <= share <= 1.0 for share in shares.values())


def test_a_source_that_is_missing_leaves_its_metrics_out(monkeypatch, tmp_path):
    monkeypatch.setattr(host, "_PRESSURE", tmp_path)
    monkeypatch.setattr(psutil, "disk_io_counters", lambda: None)
    monkeypatch.setattr(psutil, "net_io_counters", lambda: None)
    metrics = HostCollector().sample()
    assert not [key for key in metrics if "pressure" in key or "disk" in key or "network" in key]


def test_the_hottest_sensor_counts_and_none_means_no_sensor(monkeypatch):
    sensors = {
        "core": [SimpleNamespace(current=41.0), SimpleNamespace(current=63.5)],
        "fan": [SimpleNamespace(current=0)],
    }
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: sensors, raising=False)
    assert host.hottest_c() == 63.5
    assert HostCollector().sample()["temperature_c"] == 63.5
    monkeypatch.setattr(psutil, "sensors_temperatures", dict, raising=False)
    assert host.hottest_c() is None
    monkeypatch.delattr(psutil, "sensors_temperatures")
    assert host.hottest_c() is None
