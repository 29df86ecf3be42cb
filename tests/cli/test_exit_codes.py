"""Every verb that asks a service says by its exit code that there is none: refused, silent, or of an unknown name."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from dnaml.cli.main import ExitCode, main

JOB = "tests.rest.work:double"
VERBS = {
    "submit": ["submit", JOB],
    "dry run": ["submit", JOB, "--dry-run"],
    "status": ["status"],
    "status of one": ["status", "3f2a"],
    "queue": ["queue"],
    "logs": ["logs", "3f2a"],
    "cancel": ["cancel", "3f2a"],
    "migrate": ["migrate", "3f2a"],
    "explain": ["explain", "3f2a"],
    "repeat": ["repeat", "3f2a"],
    "resources": ["resources", "ls"],
    "prices": ["prices", "ls"],
    "prices found": ["prices", "find"],
    "predict": ["predict", JOB],
    "match": ["match", JOB],
    "train": ["train", "--from-state"],
}


def asked(words, url):
    return main([*words, "--url", url, "--timeout", "0.05"])


@pytest.fixture(scope="module")
def silent():
    """Listen and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture(scope="module")
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.mark.parametrize("words", VERBS.values(), ids=VERBS)
def test_a_service_that_is_not_there_is_exit_code_3(words, free_port, capsys):
    assert asked(words, f"http://127.0.0.1:{free_port}") == ExitCode.NOT_REACHABLE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"dnaml: http://127.0.0.1:{free_port}: does not answer" in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("words", [["status"], ["logs", "3f2a"]])
def test_a_service_that_never_answers_is_exit_code_3(words, silent, capsys):
    assert asked(words, silent) == ExitCode.NOT_REACHABLE
    assert "ReadTimeout" in capsys.readouterr().err


def test_a_name_that_nobody_knows_is_exit_code_3_and_no_address_is_2(capsys):
    assert asked(["status"], "http://no-such-host.invalid:1") == ExitCode.NOT_REACHABLE
    assert asked(["status"], "localhost:8750") == ExitCode.BAD_INPUT
    assert "must begin with http" in capsys.readouterr().err


def test_ctrl_c_is_130(silent):
    quiet = subprocess.DEVNULL
    words = [sys.executable, "-m", "dnaml", "status", "--url", silent, "--timeout", "60"]
    with subprocess.Popen(words, stdin=quiet, stdout=quiet, stderr=subprocess.PIPE, text=True) as process:
        deadline_s = time.monotonic() + 60
        while time.monotonic() < deadline_s and not _connected(process.pid):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "Traceback" not in err


def _connected(pid):
    """Say whether a process holds a socket: it is waiting for the answer then."""
    try:
        return any("socket:" in os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    except FileNotFoundError:
        return False
