"""The watch beside an engine: follows attempts that last, from zero, and lets go of those that ended."""

import os

import pytest

from dnaml.datasets.samples import SampleStore
from dnaml.telemetry.watch import AttemptCollector, Watch
from tests.telemetry.conftest import BURN


@pytest.fixture
def running():
    return {}


@pytest.fixture
def watch(tmp_path, running):
    opened = Watch(tmp_path, lambda: dict(running))
    yield opened
    opened.stop()


def rows(tmp_path, **wanted):
    with SampleStore(tmp_path / "samples.sqlite") as store:
        return list(store.rows(**wanted))


def test_the_machine_itself_is_sampled(tmp_path, watch):
    watch.poll()
    watch.stop()
    assert "cpu_busy_share" in rows(tmp_path, resource_id="local")[0].metrics


def test_an_attempt_is_followed_from_its_second_round_and_left_when_it_ends(tmp_path, watch, running, servant):
    running["a1"] = ("cpu0", servant.pid)
    watch.poll()
    watch.poll()
    watch.poll()
    running.clear()
    watch.poll()
    watch.stop()
    followed = rows(tmp_path, attempt_id="a1")
    assert [row.resource_id for row in followed] == ["cpu0", "cpu0"]


def test_an_attempt_shorter_than_a_round_opens_nothing(watch, running, servant):
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    for i in range(5):
        running.clear()
        running[f"a{i}"] = ("cpu0", servant.pid)
        watch.poll()
    assert watch._followed == {}
    assert (len(os.listdir("/proc/self/fd")) if before else 0) == before


def test_counters_of_an_attempt_begin_at_zero_in_a_worker_that_is_not_new(servant):
    servant.do(BURN.format(0.1))
    collector = AttemptCollector(servant.pid)
    first = collector.sample()
    servant.do(BURN.format(0.1))
    second = collector.sample()
    collector.close()
    assert first["cpu_s"] == 0.0
    assert first["memory_bytes"] > 2**20
    assert 0.05 <= second["cpu_s"] <= 0.5


def test_the_thread_runs_until_it_is_stopped(tmp_path, servant):
    asked = []

    def running():
        asked.append(True)
        return {"a1": ("cpu0", servant.pid)}

    with Watch(tmp_path, running, period_s=0.001):
        while len(asked) < 5:
            servant.do("pass")
    assert len(rows(tmp_path, attempt_id="a1")) >= 3


def test_rows_that_cannot_be_are_counted(tmp_path, watch):
    assert watch.refused() == {}


def test_rows_carry_the_time_of_the_clock_that_the_engine_goes_by(tmp_path):
    with Watch(tmp_path, dict, period_s=60.0, clock=lambda: 1234.5) as watch:
        watch.poll()
    assert {row.at_s for row in rows(tmp_path, resource_id="local")} == {1234.5}
