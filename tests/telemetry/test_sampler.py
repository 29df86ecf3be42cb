"""The sampling thread: polls, batches, survives a broken collector and a broken disk, and costs little."""

import itertools
import math
import os
import sqlite3
import threading

import pytest

from dnaml.datasets.samples import SampleStore
from dnaml.telemetry.attempt import TreeSampler
from dnaml.telemetry.sampler import Sampler, Source


class Counter:
    """A collector that counts its samples and tells when it has given enough."""

    def __init__(self, enough=1):
        self.given = 0
        self.enough = enough
        self.reached = threading.Event()

    def sample(self):
        self.given += 1
        if self.given >= self.enough:
            self.reached.set()
        return {"given_count": float(self.given)}


class Broken:
    def sample(self):
        raise RuntimeError("sensor on fire")


def source(collector, resource_id="cpu0", attempt_id=None):
    return Source(resource_id=resource_id, attempt_id=attempt_id, collector=collector)


@pytest.fixture
def store(tmp_path):
    with SampleStore(tmp_path / "samples.sqlite") as opened:
        yield opened


def test_a_poll_stores_one_row_for_each_source_at_one_time(store):
    clock = itertools.count(100.0).__next__
    sampler = Sampler(store, clock=clock)
    sampler.add(source(Counter(), "cpu0"))
    sampler.add(source(Counter(), "gpu0", "a1"))
    assert sampler.poll() == 2
    assert sampler.poll() == 2
    sampler.stop()
    rows = [(row.at_s, row.resource_id, row.attempt_id, dict(row.metrics)) for row in store.rows()]
    assert rows == [
        (100.0, "cpu0", None, {"given_count": 1.0}),
        (100.0, "gpu0", "a1", {"given_count": 1.0}),
        (101.0, "cpu0", None, {"given_count": 2.0}),
        (101.0, "gpu0", "a1", {"given_count": 2.0}),
    ]


def test_the_thread_polls_until_it_is_stopped_and_writes_what_it_has(store):
    counter = Counter(enough=5)
    sampler = Sampler(store, period_s=0.001, flush_s=0.002)
    sampler.add(source(counter))
    with sampler:
        assert counter.reached.wait(20)
    given = counter.given
    assert len(list(store.rows())) == sampler.samples_taken == given
    assert sampler.cost_s > 0
    sampler.stop()
    assert counter.given == given


def test_stopping_does_not_wait_for_the_period(store):
    counter = Counter()
    with Sampler(store, period_s=3600.0) as sampler:
        sampler.add(source(counter))
    assert not sampler._thread.is_alive()


def test_sources_come_and_go(store):
    sampler = Sampler(store)
    first, second = Counter(), Counter()
    key = sampler.add(source(first))
    sampler.add(source(second))
    sampler.poll()
    sampler.remove(key)
    sampler.remove(key)
    sampler.poll()
    sampler.stop()
    assert (first.given, second.given) == (1, 2)


def test_a_collector_that_raises_is_dropped_and_the_others_go_on(store, caplog):
    sampler = Sampler(store)
    good = Counter()
    sampler.add(source(Broken(), "gpu0"))
    sampler.add(source(good))
    assert [sampler.poll(), sampler.poll()] == [1, 1]
    sampler.stop()
    assert sampler.errors == 1
    assert "telemetry of gpu0 stopped" in caplog.text
    assert good.given == 2


def test_an_empty_sample_is_no_row(store):
    class Silent:
        def sample(self):
            return {}

    sampler = Sampler(store)
    sampler.add(source(Silent()))
    assert sampler.poll() == 0
    sampler.stop()
    assert list(store.rows()) == []


def test_a_value_that_cannot_be_is_set_aside_by_the_store(store):
    class Lying:
        def sample(self):
            return {"power_w": math.nan}

    sampler = Sampler(store)
    sampler.add(source(Lying(), "gpu0"))
    sampler.poll()
    sampler.stop()
    assert store.refused() == {"gpu0": 1}


def test_a_disk_that_refuses_is_counted_and_telemetry_goes_on(tmp_path, caplog):
    store = SampleStore(tmp_path / "s.sqlite", batch=2)
    store._connection.execute("PRAGMA busy_timeout=0")
    blocker = sqlite3.connect(tmp_path / "s.sqlite", isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    counter = Counter(enough=10)
    sampler = Sampler(store, period_s=0.001, flush_s=0.001)
    sampler.add(source(counter))
    with sampler:
        assert counter.reached.wait(20)
        blocker.execute("ROLLBACK")
        blocker.close()
    assert sampler.errors > 0
    assert "telemetry could not be written" in caplog.text
    assert len(list(store.rows())) > 0
    store.close()


def test_a_process_tree_is_a_collector(store):
    with TreeSampler(os.getpid()) as tree:
        sampler = Sampler(store)
        sampler.add(source(tree, attempt_id="a1"))
        assert sampler.poll() == 1
        sampler.stop()
    (row,) = store.rows(attempt_id="a1")
    assert row.metrics["memory_bytes"] > 2**20
