"""The verbs that only read, over a state folder in which some jobs really ran."""

import json
import sys

import pytest

import dnaml
from dnaml.cli.main import main
from dnaml.core.resource import Resource
from dnaml.core.work import Resilience

QUICK = Resource(id="quick", price_usd_per_h=0.2, price_date="2026-08-01", spec={"fp64_flop_per_s": 4e10})
SLOW = Resource(id="slow", price_usd_per_h=0.1, spec={"fp64_flop_per_s": 1e10})


def speak(text):
    sys.stdout.write(f"{text}\n")
    return text.upper()


def fail():
    raise ValueError("broken\nin two lines")


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    folder = tmp_path_factory.mktemp("state")
    with dnaml.Executor([QUICK, SLOW], state=folder, cores=1) as executor:
        executor.options(name="speech").submit(speak, "hello").result()
        executor.options(name="broken", resilience=Resilience(max_restarts=1)).submit(fail).exception()
    return folder


@pytest.fixture
def ask(state, capsys):
    """Give a function that runs a verb with --json and returns exit code and answer."""

    def asked(*arguments):
        code = main([*arguments, "--json", "--state", str(state)])
        return code, json.loads(capsys.readouterr().out)

    return asked


@pytest.fixture
def say(state, capsys):
    """Give a function that runs a verb as people do and returns exit code, output and errors."""

    def said(*arguments):
        code = main([*arguments, "--state", str(state)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return said


def test_status_lists_jobs_in_order_with_their_ends(ask):
    code, rows = ask("status")
    assert code == 0
    assert [(row["name"], row["state"], row["attempts"]) for row in rows] == [
        ("speech", "SUCCEEDED", 1),
        ("broken", "FAILED", 2),
    ]
    assert rows[0]["cost_usd"] == pytest.approx(
        rows[0]["runtime_s"] * {"quick": 0.2, "slow": 0.1}[rows[0]["resource_id"]] / 3600
    )
    assert rows[1]["error"] == "ValueError: broken in two lines"


def test_status_of_one_job_shows_each_attempt(ask, say):
    job_id = ask("status")[1][1]["id"]
    code, answer = ask("status", job_id)
    assert code == 0
    assert [attempt["state"] for attempt in answer["attempts"]] == ["FAILED", "FAILED"]
    assert answer["predicted"]["runtime_p50_s"] > 0
    code, out, _ = say("status", job_id)
    assert code == 0
    assert "predicted" in out
    assert "broken in two lines" in out


def test_status_can_be_cut_to_the_newest(say):
    code, out, _ = say("status", "--limit", "1")
    assert code == 0
    assert "1 of 2 jobs" in out
    assert "speech" not in out


@pytest.mark.parametrize("verb", ["status", "logs", "explain", "cancel", "repeat"])
def test_an_unknown_id_is_named(verb, say):
    code, out, err = say(verb, "zzzz")
    assert (code, out) == (2, "")
    assert "no job 'zzzz'" in err
    assert err.count("\n") == 1


def test_logs_are_what_was_written(ask, say):
    job_id = ask("status")[1][0]["id"]
    assert ask("logs", job_id)[1]["log"] == "hello\n"
    for arguments in (("logs", job_id), ("logs", job_id, "--follow")):
        assert say(*arguments)[1] == "hello\n"


def test_explain_shows_the_losers_and_from_when_prices_are(ask, say):
    job_id = ask("status")[1][0]["id"]
    code, answer = ask("explain", job_id)
    assert code == 0
    assert [row["chosen"] for row in answer["candidates"]].count(True) == 1
    assert all(row["why"] for row in answer["candidates"])
    scores = [row["score"] for row in answer["candidates"]]
    assert scores == sorted(scores)
    assert [sum(row["terms"].values()) for row in answer["candidates"]] == pytest.approx(scores)
    code, out, _ = say("explain", job_id)
    assert code == 0
    assert "what the score is made of" in out
    assert "prices from 2026-08-01" in out


def test_nothing_is_queued_when_all_has_ended(ask, say):
    assert ask("queue") == (0, {"engine_pid": None, "jobs": []})
    assert "nothing waits" in say("queue")[1]


def test_the_journal_is_verified_and_damage_is_found(state, ask, say, tmp_path):
    code, answer = ask("journal", "verify")
    assert (code, answer["damage"]) == (0, None)
    assert answer["results"] == 3  # one result, two failures
    assert answer["by_kind"]["Submitted"] == 2
    assert "every checksum holds" in say("journal", "verify")[1]


def test_damage_is_named_and_is_exit_code_1(state, tmp_path, capsys):
    import shutil

    copy = shutil.copytree(state, tmp_path / "copy")
    for blobs in (copy / "blobs").glob("outcomes-*.blobs"):
        body = bytearray(blobs.read_bytes())
        body[len(body) // 2] ^= 0xFF
        blobs.write_bytes(bytes(body))
    assert main(["journal", "verify", "--state", str(copy)]) == 1
    assert "fails its checksum" in capsys.readouterr().out


def test_runs_are_exported_in_each_format(ask, tmp_path):
    import pandas as pd

    for suffix, read in ((".parquet", pd.read_parquet), (".csv", pd.read_csv)):
        code, answer = ask("telemetry", "export", str(tmp_path / f"runs{suffix}"))
        assert (code, answer["rows"]) == (0, 3)
        frame = read(tmp_path / f"runs{suffix}")
        assert list(frame.failed) == [False, True, True]
        assert (frame.runtime_s > 0).all()
    assert ask("telemetry", "export", str(tmp_path / "runs.json"), "--since", "1h")[1]["rows"] == 3
    assert len((tmp_path / "runs.json").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["runs.xlsx"], "must end in .parquet, .csv, .json, got .xlsx"),
        (["no/such/folder/runs.csv"], "its folder does not exist"),
        (["runs.csv", "--since", "soon"], "--since: must be a duration"),
    ],
)
def test_an_export_that_cannot_be_is_refused(arguments, says, say, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = say("telemetry", "export", *arguments)
    assert code == 2
    assert says in err


def test_a_folder_without_jobs_has_nothing_to_tell(tmp_path, capsys):
    empty = ["--state", str(tmp_path / "none")]
    assert main(["status", *empty]) == 0
    assert main(["queue", *empty]) == 0
    assert capsys.readouterr().out.count("no jobs in") == 2
    for verb in (["logs", "x"], ["explain", "x"], ["journal", "verify"], ["submit", "--resume"]):
        assert main([*verb, *empty]) == 2
        assert "there is no journal here" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["submit"], "JOB: must be given"),
        (["submit", "dnaml.yaml", "--resume"], "--resume: goes on with the jobs there are"),
        (["repeat"], "Missing argument 'ID'"),
    ],
)
def test_contradictory_options_are_refused(arguments, says, say):
    code, _, err = say(*arguments)
    assert code == 2
    assert says in err


def test_a_failed_job_has_nothing_to_compare_a_repetition_with(ask, say):
    job_id = ask("status")[1][1]["id"]
    code, _, err = say("repeat", job_id)
    assert code == 2
    assert "left no result to compare with, it is FAILED" in err
