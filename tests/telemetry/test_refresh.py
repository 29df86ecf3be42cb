"""The refresh of what changes: real values here, None for what cannot be read from here, again every period."""

import threading

import pytest

from dnaml.core.types import Kind, Resource, Site
from dnaml.telemetry import nvml, refresh
from dnaml.telemetry.refresh import Refresher, contention, refreshed


def test_a_local_cpu_tells_load_contention_and_free_memory():
    (state,) = refreshed([Resource(id="cpu0")], at_s=5.0, error_rate={"cpu0": 0.25}.get)
    assert (state.resource_id, state.at_s, state.available, state.error_rate) == ("cpu0", 5.0, True, 0.25)
    assert 0.0 <= state.load <= 1.0
    assert state.contention >= 1.0
    assert state.free_memory_bytes > 2**20


def test_resources_of_one_machine_share_one_reading_of_it(monkeypatch):
    read = []
    monkeypatch.setattr(refresh, "contention", lambda: float(len(read.append(1) or read)))
    states = refreshed([Resource(id=f"cpu{n}") for n in range(300)], at_s=5.0)
    assert {state.contention for state in states} == {1.0}
    assert [state.resource_id for state in states] == [f"cpu{n}" for n in range(300)]


def test_many_states_are_handed_over_in_groups():
    groups = []
    pool = [Resource(id=f"far{n}", site=Site.CLOUD) for n in range(450)]
    Refresher(lambda: pool, groups.append).refresh()
    assert [len(group) for group in groups] == [200, 200, 50]
    assert [state.resource_id for group in groups for state in group] == [one.id for one in pool]


def test_a_remote_resource_stays_unknown_from_here():
    (state,) = refreshed([Resource(id="far", site=Site.CLOUD)], at_s=5.0)
    assert (state.available, state.load, state.contention, state.free_memory_bytes) == (True, None, None, None)


def test_a_gpu_that_the_driver_shows_tells_its_state(monkeypatch):
    told = {"busy_share": 0.5, "temperature_c": 70.0, "memory_free_bytes": 1e9}
    monkeypatch.setattr(nvml, "state_of", lambda index: told if index == 1 else {})
    gpu = Resource(id="gpu1", kind=Kind.GPU, spec={"gpu_index": 1.0})
    (state,) = refreshed([gpu], at_s=5.0)
    assert (state.available, state.load, state.temperature_c, state.free_memory_bytes) == (True, 0.5, 70.0, 10**9)


@pytest.mark.skipif(not nvml.reason(), reason="this machine has an NVIDIA driver")
def test_a_gpu_that_the_driver_does_not_show_is_not_available():
    (state,) = refreshed([Resource(id="gpu0", kind=Kind.GPU)], at_s=5.0)
    assert (state.available, state.load, state.free_memory_bytes) == (False, None, None)


def test_contention_is_at_least_one():
    assert contention() >= 1.0


def test_every_resource_is_published_with_its_own_error_rate():
    published = []
    pool = [Resource(id="a", site=Site.CLOUD), Resource(id="b", site=Site.CLOUD)]
    rates = {"a": 0.5, "b": None}
    Refresher(lambda: pool, published.extend, error_rate=rates.get, clock=lambda: 9.0).refresh()
    assert [(s.resource_id, s.at_s, s.error_rate) for s in published] == [("a", 9.0, 0.5), ("b", 9.0, None)]


def test_the_thread_refreshes_at_once_and_again_each_period_until_stopped():
    published, enough = [], threading.Event()

    def publish(states):
        published.extend(states)
        if len(published) == 3:
            enough.set()

    with Refresher(lambda: [Resource(id="a", site=Site.CLOUD)], publish, period_s=0.001) as refresher:
        assert enough.wait(20)
    assert not refresher._thread.is_alive()


def test_stopping_waits_neither_for_the_period_nor_for_the_other_resources():
    first = threading.Event()
    refresher = Refresher(lambda: [Resource(id="a", site=Site.CLOUD)], lambda state: first.set(), period_s=3600.0)
    with refresher:
        assert first.wait(20)
    published = []
    refresher._publish = published.extend
    refresher.refresh()
    assert published == []


def test_a_sensor_that_fails_ends_one_round_and_not_the_thread(monkeypatch, caplog):
    rounds, again = [], threading.Event()

    def fail(resources, **_):
        rounds.append(len(resources))
        if len(rounds) == 2:
            again.set()
        raise OSError("bus error")

    monkeypatch.setattr(refresh, "refreshed", fail)
    with Refresher(lambda: [Resource(id="a")], lambda state: None, period_s=0.001):
        assert again.wait(20)
    assert "bus error" in caplog.text
