"""The sample store: what passes the border is kept exactly, what cannot be true is set aside and counted."""

import csv
import json
import math
import sqlite3
import threading

import pytest

from dnaml.core.errors import InputError, StateFolderError
from dnaml.core.types import Sample
from dnaml.datasets.samples import SampleStore, broken_metric, broken_rule


def sample(at_s=1000.0, resource_id="cpu0", attempt_id="a1", **metrics):
    return Sample(resource_id=resource_id, attempt_id=attempt_id, at_s=at_s, metrics=metrics or {"cpu_s": 1.5})


@pytest.fixture
def store(tmp_path):
    with SampleStore(tmp_path / "samples.sqlite") as opened:
        yield opened


def test_rows_come_back_as_they_went_in_oldest_first(store):
    late, early = sample(2000.0, cpu_s=0.1 + 0.2, temperature_c=-3.0), sample(1000.0, attempt_id=None)
    assert store.extend([late, early]) == 2
    assert list(store.rows()) == [early, late]


def test_rows_are_found_by_resource_attempt_and_time(store):
    rows = [sample(at_s=t, resource_id=r, attempt_id=a) for t in (1.0, 2.0, 3.0) for r in "xy" for a in ("p", "q")]
    store.extend(rows)
    assert list(store.rows(resource_id="x", attempt_id="q", since_s=2.0, until_s=3.0)) == [
        sample(at_s=2.0, resource_id="x", attempt_id="q")
    ]


IMPOSSIBLE = [
    math.nan,
    math.inf,
    -math.inf,
    1e308,
    -1e308,
    1e18,
    -1.0,
    None,
    "7",
    True,
    [1.0],
]


@pytest.mark.parametrize("value", IMPOSSIBLE, ids=repr)
def test_a_row_with_an_impossible_value_is_set_aside_and_counted(store, value):
    assert store.append(sample(cpu_s=1.0, memory_bytes=value)) is False
    assert list(store.rows()) == []
    assert store.refused() == {"cpu0": 1}
    (row,) = store.refused_rows()
    assert row["source"] == "cpu0"
    assert row["rule"].startswith("memory_bytes must ")
    assert row["rule"].endswith(repr(value))


@pytest.mark.parametrize("at_s", [math.nan, math.inf, -1.0, 0.0, None, "now"])
def test_a_row_without_a_real_time_is_set_aside(store, at_s):
    assert store.append(sample(at_s=at_s)) is False
    assert store.refused_rows()[0]["rule"].startswith("at_s must ")


def test_refused_rows_are_counted_by_source_and_survive_a_restart(tmp_path):
    with SampleStore(tmp_path / "s.sqlite") as store:
        store.extend([sample(resource_id=r, cpu_s=math.nan) for r in ("a", "b", "a")] + [sample()])
    with SampleStore(tmp_path / "s.sqlite") as again:
        assert again.refused() == {"a": 2, "b": 1}
        assert len(list(again.rows())) == 1


def test_all_refusals_are_counted_and_only_the_newest_kept_in_full(store):
    for _ in range(1010):
        store.append(sample(cpu_s=math.nan))
    assert store.refused() == {"cpu0": 1010}
    assert len(store.refused_rows()) == 1000


def test_only_temperatures_and_differences_may_be_negative():
    assert broken_metric({"temperature_c": -20.0, "clock_delta": -1, "signal_dbm": -60.0}) is None
    assert broken_metric({"power_w": -1}) == "power_w must not be negative, got -1"
    assert broken_rule(sample(cpu_s=0)) is None


def test_a_full_batch_is_written_without_being_asked(tmp_path):
    with SampleStore(tmp_path / "s.sqlite", batch=4) as store:
        for t in range(1, 6):
            store.append(sample(at_s=float(t)))
        beside = sqlite3.connect(tmp_path / "s.sqlite")
        assert beside.execute("SELECT count(*) FROM samples").fetchone() == (4,)
        beside.close()


def test_several_threads_may_append_and_read(store):
    def add(source):
        for t in range(1, 501):
            store.append(sample(at_s=float(t), resource_id=source))
            if t % 100 == 0:
                list(store.rows(resource_id=source))

    threads = [threading.Thread(target=add, args=(f"r{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(store.rows())) == 2000


def test_old_rows_can_be_forgotten(store):
    store.extend(sample(at_s=float(t)) for t in range(1, 11))
    assert store.forget(6.0) == 5
    assert [row.at_s for row in store.rows()] == [6.0, 7.0, 8.0, 9.0, 10.0]


def test_a_store_that_cannot_be_opened_says_so(tmp_path):
    with pytest.raises(StateFolderError, match="cannot keep telemetry"):
        SampleStore(tmp_path / "absent" / "s.sqlite")
    (tmp_path / "noise.sqlite").write_bytes(b"not a database, but long enough to be read as one" * 40)
    with pytest.raises(StateFolderError, match="cannot keep telemetry"):
        SampleStore(tmp_path / "noise.sqlite")


def test_a_disk_that_refuses_keeps_the_rows_for_the_next_try(tmp_path):
    store = SampleStore(tmp_path / "s.sqlite", batch=10)
    blocker = sqlite3.connect(tmp_path / "s.sqlite", isolation_level=None)
    store._connection.execute("PRAGMA busy_timeout=0")
    blocker.execute("BEGIN EXCLUSIVE")
    store.append(sample())
    with pytest.raises(StateFolderError, match="telemetry could not be written"):
        store.flush()
    blocker.execute("ROLLBACK")
    blocker.close()
    assert list(store.rows()) == [sample()]
    store.close()


def rows_to_export():
    return [sample(1.0, cpu_s=0.1), sample(2.0, attempt_id=None, cpu_s=1e-9, faults=3.0)]


def test_parquet_keeps_every_value_and_leaves_missing_ones_null(store, tmp_path):
    pandas = pytest.importorskip("pandas")
    store.extend(rows_to_export())
    assert store.export(tmp_path / "out.parquet") == 2
    table = pandas.read_parquet(tmp_path / "out.parquet")
    assert list(table.columns) == ["resource_id", "attempt_id", "at_s", "t_cpu_s", "t_faults"]
    assert table["t_cpu_s"].tolist() == [0.1, 1e-9]
    assert math.isnan(table["t_faults"][0])
    assert pandas.isna(table["attempt_id"][1])


def test_csv_has_one_column_a_metric_and_empty_cells(store, tmp_path):
    store.extend(rows_to_export())
    assert store.export(tmp_path / "out.csv") == 2
    with (tmp_path / "out.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["t_faults"], second["t_faults"], float(second["t_cpu_s"])) == ("", "3.0", 1e-9)


def test_json_has_one_object_a_line_without_missing_metrics(store, tmp_path):
    store.extend(rows_to_export())
    assert store.export(tmp_path / "out.json", since_s=1.5) == 1
    (line,) = (tmp_path / "out.json").read_text().splitlines()
    assert json.loads(line) == {
        "resource_id": "cpu0",
        "attempt_id": None,
        "at_s": 2.0,
        "t_cpu_s": 1e-9,
        "t_faults": 3.0,
    }


def test_an_empty_store_exports_an_empty_table(store, tmp_path):
    for ending in ("parquet", "csv", "json"):
        assert store.export(tmp_path / f"out.{ending}") == 0


def test_an_unknown_ending_is_refused_before_anything_is_written(store, tmp_path):
    with pytest.raises(InputError, match=r"ending must be one of \.parquet, \.csv, \.json"):
        store.export(tmp_path / "out.xlsx")
    assert not (tmp_path / "out.xlsx").exists()
