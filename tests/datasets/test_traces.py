"""Recorded workloads: a user's CSV, the public sets where they are at hand, and what peers measured on them."""

import math
import os
from pathlib import Path

import numpy as np
import pytest

from dnaml.core.errors import InputError
from dnaml.core.resource import Resource
from dnaml.datasets.traces import gavel, goodput, own, packing, series, sia
from dnaml.datasets.traces.read import read
from dnaml.datasets.traces.trace import Phases
from dnaml.schedule.rounds.registry import by_name
from dnaml.simulation import replay

DATA = Path(os.environ.get("DNAML_DATA", "../shared/data")) / "scheduling"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"there is no public scheduling data in {DATA}")
_HOUR_S = 3600.0


def written(folder: Path, text: str) -> Path:
    file = folder / "jobs.csv"
    file.write_text(text)
    return file


def test_a_plain_csv_is_read_with_pools_gangs_and_deadlines(tmp_path):
    text = (
        "job_id,arrival_s,runtime_s:a,runtime_s:b,units:b,deadline_s,weight,restart_s\nx,5,10,,4,60,2,7\ny,1,3,4,1,,,\n"
    )
    trace = read(written(tmp_path, text), resources=(Resource(id="b", slots=8, price_usd_per_h=2.0),))
    assert [pool.slots for pool in trace.resources] == [1, 8]
    second, first = trace.jobs[1], trace.jobs[0]
    assert (first.id, second.id) == ("y", "x")
    assert (second.deadline_s, second.weight, second.restart_s) == (65.0, 2.0, 7.0)
    assert (first.deadline_s, first.restart_s) == (math.inf, None)
    assert second.runtime_s.tolist() == [10.0, math.inf]
    assert second.units.tolist() == [1, 4]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("job_id,arrival_s\nx,1\n", "needs columns"),
        ("job_id,arrival_s,runtime_s:a,units:z\nx,1,1,1\n", "units:z"),
        ("job_id,arrival_s,runtime_s:a,colour\nx,1,1,red\n", "unknown column 'colour'"),
        ("job_id,arrival_s,runtime_s:a\nx,soon,1\n", "line 2: arrival_s must be a number"),
        ("job_id,arrival_s,runtime_s:a\nx,1,-1\n", "line 2: runtime_s:a must be a number of at least 0, got '-1'"),
        ("job_id,arrival_s,runtime_s:a\nx,inf,1\n", "line 2: arrival_s must be a number between 0 and"),
        ("job_id,arrival_s,runtime_s:a,units\nx,1,1,1e400\n", "line 2: units must be a number between 1 and"),
        ("job_id,arrival_s,runtime_s:a,weight\nx,1,1,nan\n", "line 2: weight must be a number between"),
        ("job_id,arrival_s,runtime_s:a\nx,1,1\nx,2,1\n", "'x' is there twice"),
    ],
)
def test_a_malformed_csv_is_refused_with_the_line_and_the_column(tmp_path, text, told):
    with pytest.raises(InputError, match=told):
        own.load(written(tmp_path, text))
    with pytest.raises(InputError, match="there is no trace file"):
        own.load(tmp_path / "none.csv")


def test_pools_are_sized_by_name_and_a_common_deadline_keeps_earlier_ones(tmp_path):
    trace = read(written(tmp_path, "job_id,arrival_s,runtime_s:a,deadline_s\nx,0,1,5\ny,0,1,\n"))
    assert trace.on({"a": 3}).resources[0].slots == 3
    assert [job.deadline_s for job in trace.with_deadline(9.0).jobs] == [5.0, 9.0]
    with pytest.raises(InputError, match="has no pool 'b'"):
        trace.on({"b": 1})


def test_phases_say_what_is_left_and_how_fast_it_goes():
    course = goodput.phases(np.array([[1.0, 2.0], [0.5, 0.0]]), np.array([10.0, 20.0]))
    assert course.left_at(0.0).tolist() == [30.0, math.inf]
    assert course.left_at(0.75)[0] == 10.0
    assert course.speed_at(0.75).tolist() == [0.025, 0.0]
    plain = Phases(done=np.array([0.0, 0.5, 1.0]), left_s=np.array([[30.0], [10.0], [0.0]]))
    assert plain.done_at(0, 20.0) == 0.25


@needs_data
def test_the_peers_fifo_and_fair_shares_are_reproduced():
    trace = gavel.load(DATA / "gavel", "static_multi_100_s0")
    fifo = replay(trace, by_name("gavel_fifo"))
    assert fifo.mean_jct_s / _HOUR_S == pytest.approx(103.0, rel=0.05)
    assert fifo.makespan_s / _HOUR_S == pytest.approx(354.1, rel=0.05)
    assert fifo.cost_usd == pytest.approx(10_009, rel=0.05)
    fair = replay(trace, by_name("gavel_max_min"))
    assert fair.mean_jct_s / _HOUR_S == pytest.approx(38.0, rel=0.05)
    assert fair.makespan_s / _HOUR_S == pytest.approx(214.9, rel=0.05)
    srpt = replay(trace, by_name("srpt"))
    assert srpt.mean_jct_s / _HOUR_S == pytest.approx(32.3, rel=0.01)


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "jct_h"), [("philly-1", 0.539), pytest.param("helios-1", 0.580, marks=pytest.mark.soak)]
)
def test_sia_is_reproduced(name, jct_h):
    report = replay(sia.load(DATA / "sia", name), by_name("sia"))
    assert report.mean_jct_s / _HOUR_S == pytest.approx(jct_h, rel=0.10)
    assert report.jobs == 160


@needs_data
def test_the_public_sets_are_found_by_what_stands_beside_them():
    assert read(DATA / "gavel" / "traces" / "cont_single_600_l3.0_s0.csv").measured == (100, 500)
    assert len(read(DATA / "sia" / "traces" / "philly-2.csv").jobs) == 160
    with pytest.raises(InputError, match="there is no trace 'none'"):
        gavel.load(DATA / "gavel", "none")
    with pytest.raises(InputError, match="there is no trace 'none'"):
        sia.load(DATA / "sia", "none")


@needs_data
@pytest.mark.parametrize("folder", ["gavel", "sia"])
def test_every_public_trace_is_read_and_has_jobs_that_can_run(folder):
    for file in sorted((DATA / folder / "traces").glob("*.csv")):
        trace = read(file)
        able = sum(bool(np.isfinite(job.runtime_s).any()) for job in trace.jobs)
        assert able > 0.6 * len(list(trace.jobs)), file.name


def test_a_gang_whose_speed_nobody_measured_cannot_run(tmp_path):
    (tmp_path / "traces").mkdir()
    head = "job_id,job_type,scale_factor,total_steps,arrival_s,duration_v100_s,priority,slo_factor"
    file = tmp_path / "traces" / "own.csv"
    file.write_text(f"{head}\nalone,net,1,100,0,,1,\ngang,net,32,100,5,,1,\n")
    speeds = "\n".join(f"net,1,{kind},1,2.0" for kind in gavel.TYPES)
    (tmp_path / "throughputs.csv").write_text(f"job_type,gpus,resource_type,consolidated,steps_per_s\n{speeds}\n")
    (tmp_path / "clusters.json").write_text(
        '{"round_s": 360, "prices_usd_per_gpu_hour": {"on_demand": {"v100": 2, "p100": 1, "k80": 0.5}}}'
    )
    report = replay(read(file), by_name("srpt"))
    assert report.jobs == 1
    assert report.unplaced == {"gang": "it can run in no configuration"}


@needs_data
def test_packing_problems_are_read():
    nodes, pods = packing.openb(DATA / "openb")
    assert (len(nodes.names), int(nodes.gpus.sum())) == (1523, 6212)
    assert len(pods.names) == len(pods.models) > 8000
    assert any(packing.openb(DATA / "openb", "gpuspec33")[1].models)
    plain = packing.openb(DATA / "openb", "multigpu20")[1]
    assert not any(plain.models)
    assert np.isnan(plain.arrived_s).all()
    nodes, tasks = packing.large(DATA / "large")
    assert (len(nodes.names), len(tasks.names)) == (15_230, 100_000)
    assert len(packing.spot_nodes(DATA / "large").names) == 4278
    assert len(packing.instances(DATA / "large").names) == 23_871
    with pytest.raises(InputError, match="no list of pods 'none'"):
        packing.openb(DATA / "openb", "none")


@needs_data
def test_series_are_read_in_seconds():
    spot = series.spot(DATA / "spot", "availability_1-node_aws-02-15-2023_us-east-1a_v100_1")
    assert (spot.value_at(-1.0), spot.value_at(47_969), spot.value_at(47_970)) == (0.0, 0.0, 1.0)
    taxi = series.demand(DATA / "demand", "nyc_taxi_30min")
    assert taxi.at_s[1] == 1800.0
    hourly = series.demand(DATA / "demand", "openb_arrivals_1h", "gpu")
    assert hourly.at_s[1] == 3600.0
    with pytest.raises(InputError, match="there is no series"):
        series.spot(DATA / "spot", "none")
    with pytest.raises(InputError, match="needs a time"):
        series.demand(DATA / "demand", "nyc_taxi_30min", "none")
