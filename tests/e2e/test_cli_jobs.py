"""The command as people type it, in processes of its own: submit, look, follow, cancel, interrupt, go on."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dnaml.cli.main import main
from dnaml.core.errors import StateFolderError
from dnaml.history import History

WORK = """\
import ctypes, os, sys, threading, time


def add(x, y=1):
    print("adding")
    return x + y


class LOCKED:
    def __init__(self):
        self.lock = threading.Lock()

    def __call__(self):
        pass


LOCKED = LOCKED()


def spin(seconds):
    end_s = time.process_time() + seconds
    while time.process_time() < end_s:
        pass


def fail():
    raise ValueError("bad\\nvalue")


def leave():
    sys.exit(3)


def crash():
    ctypes.string_at(0)


def binary():
    os.write(1, bytes(range(256)))


def secret():
    return len(os.environ["TOKEN"])


def wait_for(path):
    print("waiting", flush=True)
    while not os.path.exists(path):
        time.sleep(0.02)
    return "released"
"""
POOL = """\
[resources.quick]
price = 0.2
price_date = "2026-08-01"
memory_bytes = 2000000000
slots = 2
spec = { cores = 2.0, fp64_flop_per_s = 4e10 }

[resources.slow]
price = 0.1
memory_bytes = 1000000000
spec = { cores = 1.0, fp64_flop_per_s = 1e10 }

[resources.far]
site = "cloud"
memory_bytes = 64000000000
labels = { provider = "aws" }
"""


@dataclass(frozen=True)
class Shell:
    """A folder with a module of work, a state folder with two known resources, and the command."""

    folder: Path
    started: list[subprocess.Popen] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def start(self, *arguments: str, **options) -> subprocess.Popen:
        environment = {**os.environ, "DNAML_STATE": str(self.state), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "dnaml.cli.main", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen(command, cwd=self.folder, env=environment, text=True, **pipes)
        self.started.append(process)
        return process

    def run(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def json(self, *arguments: str) -> tuple[int, dict]:
        code, out, err = self.run(*arguments, "--json")
        assert out, err
        return code, json.loads(out)

    def look(self, *arguments: str) -> tuple[int, dict]:
        """Run a verb that only reads in this process, which saves starting one."""
        with contextlib.redirect_stdout(io.StringIO()) as out:
            code = main([*arguments, "--json", "--state", str(self.state)])
        return code, json.loads(out.getvalue())

    def jobs(self) -> list[dict]:
        return self.look("status")[1]

    def until(self, condition, *, within_s: float = 30.0):
        """Wait for what another process does, looking at what it leaves behind."""
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            if found := condition():
                return found
            time.sleep(0.05)
        raise AssertionError("it did not come about in time")

    def running(self) -> str | None:
        """Give the id of the newest job if it runs."""
        try:
            last = list(History.read(self.state).jobs.values())[-1:]
        except StateFolderError:  # the journal is being made
            return None
        return last[0].id if last and last[0].state.value == "RUNNING" else None


@pytest.fixture
def shell(tmp_path):
    (tmp_path / "work_of_mine.py").write_text(WORK)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "resources.toml").write_text(POOL)
    shell = Shell(tmp_path)
    yield shell
    for process in shell.started:
        process.kill()
        process.communicate()


def job_file(shell: Shell, text: str) -> str:
    (shell.folder / "dnaml.yaml").write_text(text)
    return "dnaml.yaml"


def test_a_command_runs_to_its_end_and_every_verb_tells_of_it(shell):
    path = job_file(shell, "name: greet\nrun: echo hello there\nresources: {memory: 1GB+}\n")
    code, answer = shell.json("submit", path)
    assert code == 0
    job_id = answer["job"]["id"]
    assert answer["job"]["state"] == "SUCCEEDED"
    assert answer["job"]["resource_id"] == "quick"  # the one of the two that holds it
    assert answer["job"]["cost_usd"] > 0
    assert answer["job"]["price_date"] == "2026-08-01"
    assert shell.run("logs", job_id[:6])[1] == "hello there\n"
    _, told = shell.look("status", job_id)
    assert told["attempts"][0]["runtime_s"] == answer["job"]["runtime_s"]
    assert told["predicted"]["runtime_p10_s"] < told["predicted"]["runtime_p90_s"]
    code, why = shell.look("explain", job_id)
    assert code == 0
    assert why["chosen"] == "quick"
    assert {row["resource_id"] for row in why["candidates"]} == {"quick", "slow"}
    assert next(row["why"] for row in why["candidates"] if row["resource_id"] == "slow")
    assert shell.look("journal", "verify")[1]["results"] == 1
    code, exported = shell.look("telemetry", "export", str(shell.folder / "runs.csv"))
    assert (code, exported["rows"]) == (0, 1)
    assert "greet" in (shell.folder / "runs.csv").read_text()


def test_a_function_gets_its_arguments_and_gives_its_result(shell):
    path = job_file(shell, "computation: work_of_mine:add\nargs: {x: 2, y: 40}\n")
    code, answer = shell.json("submit", path)
    assert (code, answer["result"]) == (0, 42)
    code, out, err = shell.run("submit", "work_of_mine:add")
    assert code == 1  # it needs an argument: the work's own error
    assert "TypeError" in out
    assert "PENDING" in err


def test_nothing_is_written_by_a_dry_run_and_every_candidate_is_shown(shell):
    before = sorted(shell.state.rglob("*"))
    code, answer = shell.json("submit", "work_of_mine:add", "--dry-run")
    assert code == 0
    assert {row["resource_id"] for row in answer["candidates"]} == {"quick", "slow"}
    assert answer["chosen"] in ("quick", "slow")
    assert sorted(shell.state.rglob("*")) == before
    code, answer = shell.json("predict", "work_of_mine:add")
    assert code == 0
    assert {row["resource_id"] for row in answer["resources"]} == {"quick", "slow", "far"}
    assert sorted(shell.state.rglob("*")) == before


@pytest.mark.parametrize(
    ("function", "says"),
    [("fail", "ValueError: bad value"), ("leave", "it exited with code 3"), ("crash", "SIGSEGV")],
)
def test_work_that_fails_is_exit_code_1_and_reported_as_what_it_is(shell, function, says):
    code, out, err = shell.run("submit", f"work_of_mine:{function}")
    assert code == 1
    assert "FAILED" in out
    assert says in out
    assert [job["state"] for job in shell.jobs()] == ["FAILED"]
    if function == "fail":
        assert "work_of_mine.py" in err  # the worker's traceback


def test_binary_output_is_kept_byte_for_byte(shell):
    assert shell.run("submit", "work_of_mine:binary", "--quiet")[0] == 0
    job_id = shell.jobs()[0]["id"]
    raw = subprocess.run(
        [sys.executable, "-m", "dnaml.cli.main", "logs", job_id, "--state", str(shell.state)],
        capture_output=True,
        check=True,
    )
    assert raw.stdout == bytes(range(256))


def test_a_secret_reaches_the_work_and_is_stored_nowhere(shell):
    path = job_file(shell, "computation: work_of_mine:secret\nsecrets: {TOKEN: very-secret-value}\n")
    code, answer = shell.json("submit", path)
    assert (code, answer["result"]) == (0, 17)
    assert not [file for file in shell.state.rglob("*") if file.is_file() and b"very-secret" in file.read_bytes()]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("run: echo\nresorces: {}\n", "dnaml.yaml:2: unknown key 'resorces'; the nearest known key is 'resources'"),
        ("run: echo\nresources: {memory: 1TB+}\n", "resources.memory 1TB+: no known resource meets it; the largest is"),
        ("computation: work_of_mine:nothing\n", "cannot be imported: AttributeError"),
        ("computation: work_of_mine:LOCKED\n", "LOCKED cannot be pickled: cannot pickle '_thread.lock' object"),
        ("run: echo\ninputs: [gone.csv]\n", "inputs: no such file 'gone.csv'"),
        ("run: echo\nsecrets: {NOT_SET_ANYWHERE: null}\n", "NOT_SET_ANYWHERE has no value"),
    ],
)
def test_bad_input_is_one_line_exit_code_2_and_nothing_is_written(shell, text, says):
    before = sorted(shell.folder.rglob("*"))
    path = job_file(shell, text)
    code, out, err = shell.run("submit", path)
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert out == ""
    written = set(shell.folder.rglob("*")) - {*before, shell.folder / path}
    assert not [file for file in written if "__pycache__" not in file.parts]


def test_following_prints_what_the_job_writes_and_a_second_engine_is_refused(shell):
    process = shell.start("submit", job_file(shell, "computation: work_of_mine:wait_for\nargs: [go]\n"), "--follow")
    job_id = shell.until(shell.running)
    code, _, err = shell.run("submit", "work_of_mine:add")
    assert code == 2
    assert f"in use by an engine in process {process.pid}" in err
    _, queue = shell.look("queue")
    assert queue["engine_pid"] == process.pid
    assert [row["id"] for row in queue["jobs"]] == [job_id]
    (shell.folder / "go").touch()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.startswith("waiting\n")
    assert "released" in out


def test_a_running_job_is_cancelled_from_another_process(shell):
    process = shell.start("submit", job_file(shell, "computation: work_of_mine:wait_for\nargs: [never]\n"))
    job_id = shell.until(shell.running)
    code, answer = shell.json("cancel", job_id, "--wait", "30")
    assert (code, answer["state"]) == (0, "CANCELLED")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "CANCELLED" in out
    code, _, err = shell.run("cancel", job_id)
    assert code == 2
    assert "has already ended" in err


def interrupted(shell: Shell, how: int) -> tuple[int, str, str]:
    """Start a job that waits, end its engine by a signal once it runs; give exit code, id and error text."""
    path = job_file(shell, "computation: work_of_mine:wait_for\nargs: [go]\n")
    process = shell.start("submit", path, start_new_session=True)
    job_id = shell.until(shell.running)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    return process.returncode, job_id, err


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)], ids=["ctrl-c", "killed"])
def test_an_interrupted_job_is_not_lost_and_goes_on(shell, how, code):
    returned, job_id, err = interrupted(shell, how)
    assert returned == code
    if how == signal.SIGINT:
        assert "nothing is lost" in err
    assert [(job["id"], job["state"]) for job in shell.jobs()] == [(job_id, "RECOVERING")]
    assert shell.look("queue")[1]["engine_pid"] is None
    (shell.folder / "go").touch()
    code, rows = shell.json("submit", "--resume")
    assert code == 0
    assert [(row["id"], row["state"], row["attempts"]) for row in rows] == [(job_id, "SUCCEEDED", 2)]


def test_a_job_without_an_engine_is_withdrawn_for_good(shell):
    _, job_id, _ = interrupted(shell, signal.SIGINT)
    code, answer = shell.json("cancel", job_id)
    assert (code, answer["state"]) == (0, "CANCELLED")
    assert shell.json("submit", "--resume")[1] == []
    assert [job["state"] for job in shell.jobs()] == ["CANCELLED"]


def test_a_job_repeats_and_what_changed_is_named(shell):
    path = job_file(shell, "computation: work_of_mine:add\nargs: [1]\n")
    job_id = shell.json("submit", path)[1]["job"]["id"]
    code, again = shell.json("repeat", job_id)
    assert code == 0, again
    assert (again["repeated"], again["differences"]) == (True, [])
    module = shell.folder / "work_of_mine.py"
    module.write_text(WORK.replace("return x + y", "return x - y"))
    code, again = shell.json("repeat", job_id)
    assert code == 1
    assert again["repeated_as"] is None
    assert "code work_of_mine.add" in again["differences"][0]
    code, again = shell.json("repeat", job_id, "--anyway")
    assert code == 1
    assert again["differences"] == ["result: int: 2 became 0 (differs by 2)"]


def test_a_fingerprint_is_kept_and_used(shell):
    path = job_file(shell, "computation: work_of_mine:spin\nargs: [0.3]\n")
    code, found = shell.json("fingerprint", path, "--budget", "2")
    assert (code, found["source"]) == (0, "pilot")
    assert found["computation"]["demand"]["cpu_share"] > 0
    code, matched = shell.json("match", path)
    assert code == 0
    assert any(value is not None for value in matched["computation_dna"])
