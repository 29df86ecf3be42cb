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


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (["--policy", "srtp"], "did you mean 'srpt'"),
        (["--on", "big"], "POOL=N"),
        (["--on", "huge=3"], "has no pool 'huge'"),
        (["--objective", "best"], "objective must be one of"),
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
