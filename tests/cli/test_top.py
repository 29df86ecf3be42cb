"""The real verb `top`: one look as table and as JSON beside a running engine, live on a terminal until Ctrl-C."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

import dnaml
from dnaml.cli.main import main
from dnaml.core.attempt import JobState
from dnaml.core.resource import Resource
from dnaml.history import History
from tests import work

ENTERED, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"  # the terminal's other screen
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A state folder whose engine runs one job and lets another wait."""
    made = tmp_path_factory.mktemp("top")
    gate = made / "gate"
    with dnaml.Executor([Resource(id="only", price_usd_per_h=0.5)], state=made / "state", cores=1) as executor:
        executor.submit(work.double, 2).result()
        runs = executor.options(name="runs").submit(work.waits_for, str(gate), 600.0)
        try:
            _await_running(made / "state", runs.job_id)
            waits = executor.options(name="waits").submit(work.double, 3)  # the short one would overtake a long one
            yield made / "state"
        finally:
            gate.write_text("")  # else the executor would wait for the held job
        assert waits.result() == 6


def test_one_look_tells_pool_running_and_waiting_jobs_cost_and_states(folder, capsys):
    assert main(["top", "--json", "--state", str(folder)]) == 0
    now = json.loads(capsys.readouterr().out)
    assert now["engine"] == f"process {os.getpid()}"
    (place,) = now["resources"]
    assert (place["id"], place["running"], place["slots"], place["available"]) == ("only", 1, 1, True)
    (running,), (waiting,) = now["running"], now["waiting"]
    assert (running["name"], running["resource_id"]) == ("runs", "only")
    assert running["since_s"] >= 0
    assert (waiting["name"], waiting["state"]) == ("waits", "PENDING")
    assert now["states"] == {"SUCCEEDED": 1, "RUNNING": 1, "PENDING": 1}
    assert (now["unfinished"], now["all_jobs"], now["degraded"]) == (2, 3, [])
    assert now["cost_usd"] > 0


def test_the_same_is_printed_for_people_once(folder, capsys):
    assert main(["top", "--once", "--state", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "1 of 1 slots busy" in out
    for word in ("only", "runs", "waits", "busy", "spent"):
        assert word in out


def test_a_folder_without_jobs_says_what_to_type(tmp_path, capsys):
    assert main(["top", "--once", "--state", str(tmp_path / "none")]) == 0
    assert "dnaml submit" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_on_a_terminal_it_goes_on_until_interrupted_and_leaves_the_terminal_as_it_was(folder, number):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "dnaml", "top", "--every", "0.2", "--state", str(folder)]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    seen = b""
    try:
        seen = _until(ours, lambda text: text.count(b"slots busy") >= 2, seen)
        assert ENTERED in seen
        assert LEFT not in seen
        process.send_signal(number)
        seen = _until(ours, lambda text: LEFT in text, seen)
        assert process.wait(PATIENCE_S) == 130
        assert b"\x1b[?25h" in seen.rpartition(ENTERED)[2]  # the cursor is shown again
        assert b"Traceback" not in seen
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _await_running(folder, job_id):
    """Wait until the journal tells that a job runs."""
    until_s = time.monotonic() + PATIENCE_S
    while (view := History.read(folder).jobs.get(job_id)) is None or view.state is not JobState.RUNNING:
        assert time.monotonic() < until_s, view


def _until(terminal, done, seen):
    """Read what a terminal shows until it is enough."""
    until_s = time.monotonic() + PATIENCE_S
    while not done(seen):
        assert time.monotonic() < until_s, seen[-2000:]
        if select.select([terminal], [], [], 1.0)[0]:
            try:
                seen += os.read(terminal, 65536)
            except OSError:  # the other end was closed
                assert done(seen), seen[-2000:]
    return seen
