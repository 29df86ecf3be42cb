"""A command is fingerprinted on copies of its files, in a folder of its own."""

import sys
from pathlib import Path

import pytest

from dnaml.core.errors import InputError
from dnaml.execution.fingerprint import command
from dnaml.execution.fingerprint.command import measured_command
from dnaml.execution.fingerprint.measure import Source
from dnaml.execution.fingerprint.pilot import Outcome

PROGRAM = """
import os, sys
data = open("in/data").read()
open("out", "w").write(data)
open("in/data", "w").write("spoilt")
held = bytearray(60_000_000)
assert os.environ["MODE"] == "fast"
sum(i * i for i in range(int(sys.argv[1])))
"""


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "data").write_text("x" * 1000)
    (tmp_path / "train.py").write_text(PROGRAM)
    return tmp_path


def test_a_command_is_measured_and_its_files_stay_as_they_are(workdir: Path) -> None:
    argv = [sys.executable, "train.py", "1000000"]
    found = measured_command(argv, workdir=workdir, inputs=("in",), envs={"MODE": "fast"}, budget_s=6.0)
    assert (found.source, found.outcome, found.message) == (Source.PILOT, Outcome.RETURNED, "")
    assert found.computation.demand["cpu_share"] > 0.5
    assert found.computation.demand["peak_memory_bytes"] > 60e6
    assert found.computation.size["argument2"] == 1_000_000
    assert (workdir / "in" / "data").read_text() == "x" * 1000
    assert not (workdir / "out").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([sys.executable, "-c", "raise SystemExit(7)"], "ended with code 7"),
        (["./no-such-program"], "./no-such-program: No such file or directory"),
    ],
)
def test_a_command_that_fails_is_reported(workdir: Path, argv: list[str], message: str) -> None:
    found = measured_command(argv, workdir=workdir)
    assert found.outcome is Outcome.RAISED
    assert message in found.message


def test_files_outside_the_folder_are_read_where_they_are(workdir: Path) -> None:
    assert command._files(["cat", "train.py", "../x", "/etc/passwd"], workdir, ("in/data", "/etc/hosts")) == [
        (str(workdir / "train.py"), "train.py"),
        (str(workdir / "in" / "data"), "in/data"),
    ]


def test_too_much_to_copy_is_refused(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_MOST_COPIED_BYTES", 10)
    with pytest.raises(InputError, match="must be at most 10 bytes"):
        measured_command(["cat"], workdir=workdir, inputs=("in",))
    assert measured_command(["cat"], workdir=workdir, inputs=("in",), pilot=False).outcome is Outcome.NOT_RUN


def test_files_and_folders_are_copied_to_where_the_command_runs(
    workdir: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path_factory.mktemp("here")
    monkeypatch.chdir(here)
    files = [(str(workdir / "in"), "in"), (str(workdir / "train.py"), "deep/train.py")]
    command.run_command([sys.executable, "-c", "open('made', 'w').write('1')"], files, {})
    assert sorted(path.relative_to(here).as_posix() for path in here.rglob("*") if path.is_file()) == [
        "deep/train.py", "in/data", "made",
    ]  # fmt: skip
    with pytest.raises(command.CommandFailed, match="ended with code 2"):
        command.run_command([sys.executable, "-c", "raise SystemExit(2)"], [], {})
    with pytest.raises(command.CommandFailed, match="No such file"):
        command.run_command(["./absent"], [], {})
