"""Run tables: what is set aside, what is read, and splits that cannot leak."""

import math

import numpy as np
import pandas as pd
import pytest

from dnaml.core.errors import InputError
from dnaml.core.protocols import Run
from dnaml.core.types import Computation, Kind, Resource, UnitType
from dnaml.datasets.table import Hold, feature_columns, groups, load_runs, refuse_leak


def frame(rows=12, **columns):
    base = {
        "resource_id": [f"r{i % 3}" for i in range(rows)],
        "computation_id": [f"c{i // 3}" for i in range(rows)],
        "runtime_s": [1.0 + i for i in range(rows)],
    }
    return pd.DataFrame(base | columns)


@pytest.mark.parametrize(
    ("runtime", "why"),
    [
        (float("nan"), "runtime_s is not a number"),
        ("soon", "runtime_s is not a number"),
        (float("inf"), "runtime_s is infinite"),
        (-1.0, "runtime_s is negative"),
        (0.0, "runtime_s is zero"),
        (1e300, "runtime_s is absurdly long"),
    ],
)
def test_a_row_whose_runtime_cannot_be_true_is_set_aside_and_counted(runtime, why):
    rows = frame().astype({"runtime_s": object})
    rows.loc[4, "runtime_s"] = runtime
    table = load_runs(rows)
    assert len(table) == 11
    assert table.reasons() == {why: 1}
    assert table.frame["runtime_s"].dtype == float


def test_a_row_without_an_id_is_set_aside():
    rows = frame()
    rows.loc[0, "resource_id"] = None
    rows.loc[1, "computation_id"] = ""
    assert load_runs(rows).reasons() == {"resource_id is missing": 1, "computation_id is missing": 1}


def test_ids_of_mixed_types_become_text_and_flags_become_truth_values():
    rows = frame(4, resource_id=[1, "1", 2.5, "x"], failed=[None, True, float("nan"), 0])
    table = load_runs(rows)
    assert table.frame["resource_id"].tolist() == ["1", "1", "2.5", "x"]
    assert table.frame["failed"].tolist() == [False, True, False, False]
    assert table.frame["censored"].tolist() == [False] * 4


def test_impossible_feature_values_count_as_unknown():
    table = load_runs(frame(3, r_speed=[1.0, math.inf, 1e300], t_load=[1, 2, 3], note=["a", "b", "c"]))
    np.testing.assert_array_equal(table.frame["r_speed"], [1.0, math.nan, math.nan])
    assert table.features() == ["r_speed"]
    assert table.features("t_") == ["t_load"]
    assert table.frame["note"].tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("missing", ["resource_id", "computation_id", "runtime_s"])
def test_a_column_that_every_run_needs_is_named_when_it_is_absent(missing):
    with pytest.raises(InputError, match=f"column '{missing}' is required"):
        load_runs(frame().drop(columns=missing))


def test_a_table_is_read_from_csv_and_parquet_and_passed_through(tmp_path):
    rows = frame(c_kernel=["f"] * 12)
    rows.to_csv(tmp_path / "runs.csv", index=False)
    rows.to_parquet(tmp_path / "runs.parquet")
    for name in ("runs.csv", "runs.parquet"):
        pd.testing.assert_frame_equal(load_runs(tmp_path / name).frame, load_runs(rows).frame)
    table = load_runs(rows)
    assert load_runs(table) is table


@pytest.mark.parametrize("name", ["nothing.csv", ".", "broken.parquet"])
def test_a_file_that_is_no_table_is_named(tmp_path, name):
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InputError, match="a run table must be"):
        load_runs(tmp_path / name)


def test_runs_become_rows_with_both_sides_and_telemetry():
    resource = Resource(
        id="gpu0", kind=Kind.GPU, unit_type=UnitType.CUDA_CORE, price_usd_per_h=3.6, spec={"cores": 8.0}, power_w=70.0
    )
    work = Computation(id="f-1", kernel="f", size={"n": 5.0}, demand={"flop": 1e9})
    run = Run(computation=work, resource=resource, runtime_s=2.0, at_s=7.0, energy_j=9.0, telemetry={"cpu_share": 0.5})
    row = load_runs([run, run]).frame.iloc[0].to_dict()
    expected = {
        "resource_id": "gpu0", "computation_id": "f-1", "runtime_s": 2.0, "at_s": 7.0, "energy_j": 9.0,
        "r_kind": "gpu", "r_unit_type": "cuda_core", "r_cores": 8.0, "r_power_w": 70.0, "c_kernel": "f",
        "c_flop": 1e9, "s_n": 5.0, "t_cpu_share": 0.5, "price_usd_per_s": 0.001,
    }  # fmt: skip
    assert row | expected == row
    assert "cost_usd" not in row
    assert len(load_runs([])) == 0


@pytest.mark.parametrize("hold", list(Hold))
def test_a_split_holds_whole_groups_and_never_leaks(hold):
    table = load_runs(pd.concat([frame(), frame()]))
    train, held = table.split(hold, 0.34, seed=1)
    assert len(train) + len(held) == 24
    assert len(held) > 0
    refuse_leak(train, held, hold)
    assert hold is Hold.ROW or set(groups(train.frame, hold)).isdisjoint(groups(held.frame, hold))


def test_a_split_does_not_depend_on_the_order_of_rows():
    rows = frame()
    one, other = (load_runs(r).split(Hold.CELL, 0.5, seed=3)[1].frame for r in (rows, rows.iloc[::-1]))
    assert sorted(one["runtime_s"]) == sorted(other["runtime_s"])


def test_a_split_that_leaks_is_refused_by_name():
    table = load_runs(frame())
    train, held = table.split(Hold.ROW, 0.5)
    with pytest.raises(InputError, match=r"split by resource: r\d must be on one side, got it on both"):
        refuse_leak(train, held, Hold.RESOURCE)


def test_named_resources_and_computations_can_be_left_out():
    table = load_runs(frame())
    train, held = table.without(Hold.RESOURCE, ["r1"])
    assert set(held.frame["resource_id"]) == {"r1"}
    refuse_leak(train, held, Hold.RESOURCE)
    assert len(table.without(Hold.COMPUTATION, ["c0", "c1"])[1]) == 6
    with pytest.raises(InputError, match="got cell"):
        table.without(Hold.CELL, ["c0"])


def test_a_split_in_time_keeps_the_later_runs_apart():
    earlier, later = load_runs(frame(at_s=np.arange(12.0))).before(9.0)
    assert (len(earlier), later.frame["at_s"].min()) == (9, 9.0)
    assert len(load_runs(frame()).before(9.0)[1]) == 0


@pytest.mark.parametrize(("rows", "share"), [(1, 0.5), (12, 0.0), (12, 1.0)])
def test_a_split_needs_two_groups_and_a_share(rows, share):
    with pytest.raises(InputError, match="a split needs two groups"):
        load_runs(frame(rows)).split(Hold.ROW, share)


def test_feature_columns_are_those_known_before_a_run():
    assert feature_columns(frame(s_n=1.0, t_x=1.0, r_a=1.0, c_b=1.0)) == ["c_b", "r_a", "s_n"]


def test_a_column_name_that_stands_twice_is_refused():
    runs = pd.DataFrame([["a", "f", 1.0, 2.0]], columns=["resource_id", "computation_id", "runtime_s", "runtime_s"])
    with pytest.raises(InputError, match="runtime_s"):
        load_runs(runs)


@pytest.mark.parametrize("source", [None, 5, [1, 2], {"resource_id": "a"}])
def test_what_is_no_run_table_is_refused_with_its_type(source):
    with pytest.raises(InputError, match=type(source).__name__):
        load_runs(source)
