"""`dnaml simulate`: tables, JSON that stands alone, a picture, and bad input."""

import json

import pytest

from dnaml.cli.main import main

JOBS = "job_id,arrival_s,runtime_s:big,runtime_s:small\nlong,0,100,150\nshort,0,10,30\nlast,20,50,60\n"


@pytest.fixture
def jobs(tmp_path):
    file = tmp_path / "jobs.csv"
    file.write_text(JOBS)
    return str(file)


def test_policies_stand_side_by_side(jobs, capsys):
    assert main(["simulate", jobs, "--policy", "dnaml,srpt,fifo", "--on", "big=2,small=1", "--restart", "1"]) == 0
    told = capsys.readouterr().out
    assert [word in told for word in ("dnaml", "srpt", "fifo", "makespan")] == [True] * 4
    assert "3 jobs ended" in told


def test_the_answer_is_json_alone_also_where_the_solver_talks(jobs, capfd):
    assert main(["simulate", jobs, "--policy", "sia", "--deadline", "0.01", "--json"]) == 0
    answer = json.loads(capfd.readouterr().out)
    assert answer[0]["policy"] == "sia"
    assert answer[0]["jobs"] == 3
    assert "spans" not in answer[0]


def test_a_picture_is_drawn(jobs, tmp_path, capsys):
    target = tmp_path / "runs.png"
    assert main(["simulate", jobs, "--policy", "srpt,fifo,cheapest", "--plot", str(target)]) == 0
    assert target.read_bytes()[:4] == b"\x89PNG"
    assert "written" in capsys.readouterr().err
    assert main(["simulate", jobs, "--plot", str(tmp_path / "none" / "runs.png")]) == 2


def answered(capsys, jobs, *extra):
    assert main(["simulate", jobs, "--on", "big=1,small=1", "--policy", "srpt", "--json", *extra]) == 0
    return json.loads(capsys.readouterr().out)[0]


def test_prices_and_powers_of_pools_give_costs_and_energy(jobs, capsys):
    held_s = answered(capsys, jobs, "--price", "big=3600")["cost_usd"]  # of the big pool
    assert 100 < held_s < 160
    assert answered(capsys, jobs, "--price", "big=3600,small=36")["cost_usd"] > held_s
    assert answered(capsys, jobs, "--power", "big=100")["energy_j"] == pytest.approx(100 * held_s)
    assert main(["simulate", jobs, "--power", "big=100"]) == 0
    assert "energy" in capsys.readouterr().out


def test_pools_that_shrink_prices_that_change_stragglers_and_checkpoints_tell(jobs, capsys):
    plain = answered(capsys, jobs, "--price", "big=1")
    hour = str(50 / 3600)
    shrunk = answered(capsys, jobs, "--price", "big=1", "--resize", f"{hour}:big=0,0.05:big=1")
    assert shrunk["failures"] == 1
    assert shrunk["makespan_s"] > plain["makespan_s"]
    assert answered(capsys, jobs, "--price", "big=1", "--reprice", f"{hour}:big=9")["cost_usd"] > plain["cost_usd"]
    slow = answered(capsys, jobs, "--stragglers", "1")
    assert slow["mean_jct_s"] > 1.9 * plain["mean_jct_s"]
    assert answered(capsys, jobs, "--checkpoint", "1", "--every", "10")["makespan_s"] == pytest.approx(
        1.1 * plain["makespan_s"]
    )


def test_weights_are_swept_for_the_policy_that_heeds_them_and_others_run_once(jobs, capsys):
    assert main(["simulate", jobs, "--policy", "dnaml,fifo", "--cost-shares", "0, 1", "--json"]) == 0
    assert [one["policy"] for one in json.loads(capsys.readouterr().out)] == [
        "dnaml, 0% cost",
        "dnaml, 100% cost",
        "fifo",
    ]


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (["--policy", "srtp"], "did you mean 'srpt'"),
        (["--on", "big"], "POOL=N"),
        (["--on", "huge=3"], "has no pool 'huge'"),
        (["--objective", "best"], "objective must be one of"),
        (["--on", "big=1.5"], "units of big must be a whole number"),
        (["--price", "huge=3"], "has no pool 'huge'"),
        (["--power", "big=nan"], "big must be a number of at least 0"),
        (["--cost-shares", "2"], "between 0 and 1"),
        (["--resize", "big=1"], "HOURS:POOL=N"),
        (["--resize", "soon:big=1"], "the time must be a number"),
        (["--reprice", "1:huge=2"], "a change names 'huge'"),
    ],
)
def test_bad_input_is_told_in_one_line(jobs, capsys, extra, told):
    assert main(["simulate", jobs, *extra]) == 2
    assert told in capsys.readouterr().err


def test_jobs_that_never_ran_are_named(tmp_path, capsys):
    file = tmp_path / "jobs.csv"
    file.write_text("job_id,arrival_s,runtime_s:a,units\nx,0,10,4\ny,0,10,1\n")
    assert main(["simulate", str(file)]) == 0
    assert "1 never ran (x: its smallest gang of 4" in capsys.readouterr().out
