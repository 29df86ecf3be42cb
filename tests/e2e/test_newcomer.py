"""A newcomer's path: the commands at the top of the README, from a fresh clone to a remote job's explained result."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
VENV = ROOT / ".venv"
PORT = "8750"


LENT = """\
#!/bin/sh
case "$2" in pip|venv|ensurepip) echo "this environment is lent: nothing is installed into it" >&2; exit 1;; esac
exec "{python}" {words} "$@"
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Clone this checkout as it is committed, with an environment of its own that only lends this one's Python."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this is no git checkout")
    if not (VENV / "bin" / "python").exists():
        pytest.skip(f"there is no {VENV} to lend to the clone")
    folder = tmp_path_factory.mktemp("newcomer") / "dnaml"
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", "--depth", "1", f"file://{ROOT}", folder], check=True)
    commands_of = folder / ".venv" / "bin"
    commands_of.mkdir(parents=True)
    for name, words in (("python", ""), ("dnaml", "-m dnaml")):
        (commands_of / name).write_text(LENT.format(python=VENV / "bin" / "python", words=words))
        (commands_of / name).chmod(0o755)
    (folder / ".venv" / ".installed").touch()  # so that the set-up finds all done
    return folder


def commands(clone):
    """Give the commands of the README's first bash block."""
    block = re.search(r"^```bash\n(.*?)^```$", (clone / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert block is not None
    return block.group(1).splitlines()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return str(listening.getsockname()[1])


def until_ready(url, serving):
    deadline_s = time.monotonic() + 100
    while time.monotonic() < deadline_s:
        assert serving.poll() is None, "the service ended"
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError("the service was not ready in time")


def test_the_path_is_short_and_at_the_top(clone):
    told = commands(clone)
    assert 2 + len(told) <= 10  # git clone and cd come first
    assert all(line.strip() and not line.startswith("#") for line in told)
    assert (clone / "README.md").read_text().index("```bash") < 2500


def test_each_command_runs_as_written_and_the_remote_result_is_explained(clone, tmp_path):
    port = free_port()
    environment = {
        **os.environ,
        "DNAML_STATE": str(tmp_path / "state"),
        "PYTHONPATH": str(clone),
        "PYTHON": "/bin/false",  # no environment is made
    }
    for name in ("DNAML_URL", "DNAML_TOKEN", "DNAML_TOKEN_FILE"):
        environment.pop(name, None)
    subprocess.run(["make", "-q", "setup"], cwd=clone, env=environment, check=True)  # there is nothing left to install
    serving = None
    said = ""
    try:
        for written in commands(clone):
            words = shlex.split(written.replace(PORT, port))
            if words[-1] == "&":
                serving = subprocess.Popen(words[:-1], cwd=clone, env=environment, stderr=subprocess.DEVNULL)
                until_ready(f"http://127.0.0.1:{port}", serving)
                continue
            done = subprocess.run(
                words, cwd=clone, env=environment, capture_output=True, text=True, timeout=100, check=False
            )
            assert done.returncode == 0, f"{written}:\n{done.stdout}\n{done.stderr}"
            said += done.stdout
    finally:
        if serving is not None:
            serving.send_signal(signal.SIGTERM)
            serving.wait(30)
    assert "5133 primes" in said
    assert "runtime_p50_s" in said  # the table behind the placement
    assert "would run on" in said
    assert re.search(r"primes +SUCCEEDED", said)
