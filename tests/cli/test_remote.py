"""Verbs against a real service: the same answers as over its state folder, its refusals, and ways not to reach it."""

import json

import pandas as pd
import pytest

import dnaml
from dnaml.answers.pool import keep
from dnaml.cli.main import load_verb, main
from dnaml.cli.remote.desk import desk_at, token_of
from dnaml.core.errors import InputError
from dnaml.core.resource import Resource
from dnaml.jobfile import JobFile
from dnaml.rest.auth import Scope
from tests.remote.served import served

POOL = (
    Resource(
        id="here", slots=2, price_usd_per_h=0.5, price_date="2026-08-01", spec={"cores": 2.0, "fp64_flop_per_s": 4e10}
    ),
)
JOB = "name: greet\nrun: [echo, hello]\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    keep(folder / "state", POOL)
    with served(folder, resources=POOL) as found:
        yield found


@pytest.fixture(autouse=True)
def _nothing_of_the_environment(monkeypatch):
    for name in ("DNAML_URL", "DNAML_TOKEN", "DNAML_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def job_file(tmp_path):
    path = tmp_path / "dnaml.yaml"
    path.write_text(JOB)
    return str(path)


@pytest.fixture
def ask(service, capfd):
    """Give a function that asks the service by a verb with --json, or without it as people do."""

    def asked(*words, plain=False):
        code = main([*words, *([] if plain else ["--json"]), "--url", service.url])
        out, err = capfd.readouterr()
        return (code, out, err) if plain else (code, json.loads(out) if out else err)

    return asked


@pytest.fixture
def look(service, capfd):
    """Give a function that asks the state folder of the same service by a verb with --json."""

    def looked(*words):
        code = main([*words, "--json", "--state", str(service.settings.state)])
        return code, json.loads(capfd.readouterr().out)

    return looked


def ended(service, function, *args):
    body = {"computation": f"tests.rest.work:{function}", "args": list(args)}
    with desk_at(service.url, timeout_s=30) as desk:
        job_id = desk.post("/jobs", body)["id"]
        assert desk.get(f"/jobs/{job_id}", wait_s=60)["state"] != "RUNNING"
    return job_id


def keys(value):
    """Give the shape of a JSON value: its keys, down to the first row of each list."""
    if isinstance(value, dict):
        return {key: keys(inner) for key, inner in value.items()}
    return [keys(value[0])] if isinstance(value, list) and value else type(value).__name__ if value else "-"


def test_a_command_is_submitted_followed_and_told_of_as_on_this_machine(service, ask, look, job_file):
    code, out, err = ask("submit", job_file, "--follow", plain=True)
    assert code == 0
    assert out.startswith("hello\n")
    assert "SUCCEEDED on here" in out
    assert f"is recorded at {service.url}" in err
    job_id = look("status")[1][-1]["id"]
    for words in (["status"], ["status", job_id], ["explain", job_id], ["logs", job_id], ["resources", "ls"]):
        assert ask(*words) == look(*words), words
    assert ask("logs", job_id, "-f", plain=True)[1] == "hello\n"
    assert "prices from 2026-08-01" in ask("explain", job_id, plain=True)[1]
    assert ask("status", "--limit", "1", plain=True)[1].count("greet") == 1


def test_what_would_happen_is_told_as_on_this_machine(ask, look, job_file):
    for words in (["submit", job_file, "--dry-run"], ["predict", job_file], ["match", job_file, "--slots"]):
        (code, told), (local_code, local) = ask(*words), look(*words)
        assert (code, local_code) == (0, 0)
        assert keys(told).keys() == keys(local).keys()
        assert told["computation_id"] == local["computation_id"]
    (row,) = ask("submit", job_file, "--dry-run")[1]["candidates"]
    assert {"runtime_p10_s", "runtime_p50_s", "runtime_p90_s", "cost_usd", "risk", "why"} <= set(row)
    assert "would run on here" in ask("submit", job_file, "--dry-run", plain=True)[1]
    assert "here" in ask("match", job_file, "--slots", plain=True)[1]


def test_the_runs_of_a_service_are_the_same_table_as_on_its_machine(ask, look, service, tmp_path):
    ended(service, "double", 1)
    there, here = tmp_path / "there.parquet", tmp_path / "here.parquet"
    code, told = ask("telemetry", "export", str(there))
    assert (code, told["rows"]) == (0, look("telemetry", "export", str(here))[1]["rows"])
    one, other = dnaml.load_runs(there).frame, dnaml.load_runs(here).frame
    order = sorted(other.columns)
    pd.testing.assert_frame_equal(one[order], other[order], check_dtype=False)
    assert ask("telemetry", "export", str(there), "--since", "1s")[0] == 0
    code, told = ask("telemetry", "export", str(there), "--what", "samples")
    assert (code, "own machine" in told) == (2, True)


def test_resources_are_declared_to_a_service_measured_there_and_removed(ask, service, tmp_path):
    pool = tmp_path / "pool.toml"
    pool.write_text(
        '[resources."cloud/a b"]\nsite = "cloud"\nprice = 0.5\nmemory = "8GB"\n[resources.c]\nsite = "cloud"\n'
    )
    code, added = ask("resources", "add", str(pool))
    assert code == 0
    assert [(one["id"], one["memory_bytes"]) for one in added] == [("cloud/a b", 8 << 30), ("c", None)]
    assert {one["id"] for one in ask("resources", "ls")[1]} == {"here", "cloud/a b", "c"}
    code, told = ask("probe", "c")
    assert (code, "only resources of this machine" in told) == (2, True)
    assert ask("resources", "rm", "cloud/a b", "c") == (0, {"removed": ["cloud/a b", "c"]})
    assert [one["id"] for one in ask("resources", "ls")[1]] == ["here"]
    code, told = ask("resources", "rm", "c")
    assert (code, "no resource 'c'" in told) == (2, True)


def test_prices_are_those_of_the_service(ask, look):
    for words in (["prices", "ls"], ["prices", "find", "m7i", "--memory", "8GB", "--cpus", "2", "--limit", "3"]):
        assert ask(*words) == look(*words), words
    code, rows = ask("prices", "find", "nothing-is-called-so")
    assert (code, rows) == (1, [])


def test_work_that_fails_is_exit_code_1_with_the_traceback_of_the_worker(ask, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("computation: tests.rest.work:fail\nargs: [words of mine]\n")
    code, out, err = ask("submit", str(path), plain=True)
    assert code == 1
    assert "FAILED on here" in out
    assert "words of mine" in out
    assert "work.py" in err


def test_a_detached_job_waits_in_the_queue_and_is_cancelled(ask, service, tmp_path):
    path = tmp_path / "long.yaml"
    path.write_text("computation: tests.rest.work:count\nargs: [100000]\n")
    code, told = ask("submit", str(path), "--detach")
    assert (code, told["state"] in ("PENDING", "RUNNING")) == (0, True)
    with desk_at(service.url, timeout_s=30) as desk:
        while desk.get(f"/jobs/{told['id']}", wait_s=0.05)["state"] != "RUNNING":
            pass
    code, queue = ask("queue")
    assert (code, queue["engine_pid"], [row["id"] for row in queue["jobs"]]) == (0, None, [told["id"]])
    assert "the engine is that of" in ask("queue", plain=True)[1]
    code, moved = ask("migrate", told["id"], "--wait", "0")
    assert (code, moved["moved"], moved["from"]) == (1, False, "here")
    assert ask("migrate", told["id"], "--to", "moon", plain=True)[0] == 2
    code, answer = ask("cancel", told["id"], "--wait", "60")
    assert (code, answer["state"], answer["ended"]) == (0, "CANCELLED", True)
    assert "already ended" in ask("cancel", told["id"], plain=True)[2]


def test_a_job_repeats_where_it_ran(ask, service):
    job_id = ended(service, "double", 4)
    code, verdict = ask("repeat", job_id)
    assert (code, verdict["repeated"], verdict["differences"]) == (0, True, [])
    assert verdict["repeated_as"] != job_id
    assert ask("repeat", job_id, "--anyway", plain=True)[0] == 2


def test_the_beginning_of_an_id_is_enough_where_one_job_begins_so(ask, service):
    job_id = ended(service, "double", 5)
    assert ask("status", job_id[:-1], plain=True)[0] in (0, 2)
    code, _, err = ask("status", job_id[:3], plain=True)
    assert code == 2
    assert "several begin so" in err
    assert ask("status", "zzzz", plain=True)[0] == 2
    assert ask("status", "a/b", plain=True)[0] == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["submit", "os:getcwd"], "does not allow it"),
        (["submit", "--resume"], "--resume: a service goes on"),
        (["submit"], "JOB: must be given"),
        (["submit", "tests.rest.work:double", "--detach", "--dry-run"], "--detach: does not wait"),
        (["train", "--from-state", "--alias", "x"], "--alias"),
        (["train"], "name either"),
        (["probe", "here", "--no-save"], "a service keeps what it measures"),
        (["resources", "add", "nowhere.toml"], "cannot be read"),
        (["status", "--state", "x"], "give one of both"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(ask, words, says):
    code, out, err = ask(*words, plain=True)
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


def test_variables_are_those_of_who_submits_and_secrets_are_not_sent(monkeypatch):
    from dnaml.cli.remote.running import body_of

    monkeypatch.setenv("MINE", "here")
    job = JobFile.of({"run": "echo", "envs": {"MINE": None, "OTHER": "1"}, "constraints": {"deadline": "2h"}})
    assert body_of(job)["envs"] == {"MINE": "here", "OTHER": "1"}
    assert JobFile.of(body_of(job)).constraints() == job.constraints()
    with pytest.raises(InputError, match="secrets are not sent"):
        body_of(JobFile.of({"run": "echo", "secrets": {"KEY": "x"}}))


def test_the_service_is_named_by_option_or_environment_and_a_state_folder_wins_over_the_latter(
    service, capsys, monkeypatch, tmp_path
):
    monkeypatch.setenv("DNAML_URL", service.url)
    assert main(["queue", "--json"]) == 0
    assert main(["--url", service.url, "resources", "--json"]) == 0
    capsys.readouterr()
    assert main(["status", "--state", str(tmp_path)]) == 0
    assert str(tmp_path) in capsys.readouterr().out
    assert main(["--url", service.url, "check"]) == 2
    assert "works here only" in capsys.readouterr().err


def test_a_token_comes_by_the_environment_or_a_file_and_is_never_shown(tmp_path, monkeypatch, capsys):
    with served(tmp_path, token_required=True) as found:
        token = found.service.tokens.create("cli", tenant="t", scope=Scope.READ)
        monkeypatch.setenv("DNAML_URL", found.url)
        for wrong in ("", "dnaml_0_secret", "with space"):
            monkeypatch.setenv("DNAML_TOKEN", wrong)
            assert main(["status"]) == 2
            told = capsys.readouterr().err
            assert "token" in told
            assert not wrong or wrong not in told
        monkeypatch.setenv("DNAML_TOKEN", token)
        assert main(["status"]) == 0
        assert main(["submit", "tests.rest.work:double", "--detach"]) == 2
        captured = capsys.readouterr()
        assert "scope submit" in captured.err
        assert token not in captured.err + captured.out
    assert token not in load_verb("status").get_help(
        load_verb("status").make_context("status", [], resilient_parsing=True)
    )
    path = tmp_path / "token"
    path.write_text("dnaml_x\n")
    assert token_of({"DNAML_TOKEN_FILE": str(path)}) == "dnaml_x"
    assert token_of({"DNAML_TOKEN_FILE": str(path), "DNAML_TOKEN": "dnaml_y"}) == "dnaml_y"
    assert token_of({}) is None
    with pytest.raises(InputError, match="DNAML_TOKEN_FILE"):
        token_of({"DNAML_TOKEN_FILE": str(tmp_path / "none")})


def test_an_interrupted_wait_leaves_the_job_to_the_service(service, tmp_path, monkeypatch, capsys):
    from dnaml.cli.remote import running

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "_watch", interrupt)
    assert main(["submit", "tests.rest.work:odd", "--url", service.url]) == 130
    assert "goes on at" in capsys.readouterr().err
