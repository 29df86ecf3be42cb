"""Commands as computations: an argv list and no shell, in their folder, with their variables, ended as they ended."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dnaml.core.errors import ComputationFailed, InputError
from dnaml.execution.argv import Command, CommandFailed, run_argv
from dnaml.execution.pickling import dumps, loads


def python(script: str, workdir: Path, **envs: str) -> Command:
    return Command((sys.executable, "-c", script), str(workdir), envs)


def test_a_command_runs_in_its_folder_with_its_variables_beside_those_there_are(tmp_path, monkeypatch):
    monkeypatch.setenv("INHERITED", "yes")
    script = "import os; open('told', 'w').write(f\"{os.environ['INHERITED']} {os.environ['OWN']}\")"
    assert run_argv(python(script, tmp_path, OWN="too")) == 0
    assert (tmp_path / "told").read_text() == "yes too"
    assert "OWN" not in os.environ


def test_nothing_is_a_shell(tmp_path):
    tell = "import sys; open('told', 'w').write(sys.argv[1])"
    run_argv(Command((sys.executable, "-c", tell, "$(id); *"), str(tmp_path)))
    assert (tmp_path / "told").read_text() == "$(id); *"


def test_its_output_goes_where_this_process_writes(tmp_path):
    script = (
        "import sys; from dnaml.execution.argv import Command, run_argv; print('before');"
        "run_argv(Command((sys.executable, '-c', 'print(2)'), '.')); print('after')"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert told.stdout == b"before\n2\nafter\n"


def test_it_reads_nothing(tmp_path):
    assert run_argv(python("import sys; sys.exit(len(sys.stdin.read()))", tmp_path)) == 0


@pytest.mark.parametrize(
    ("script", "how"),
    [("import sys; sys.exit(3)", "exit code 3"), ("import os; os.kill(os.getpid(), 9)", "signal 9")],
)
def test_another_end_than_zero_says_how(tmp_path, script, how):
    with pytest.raises(CommandFailed, match=f"ended with {how}") as told:
        run_argv(python(script, tmp_path))
    assert isinstance(told.value, ComputationFailed)


def test_a_program_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CommandFailed, match="no-such-program: cannot be started: No such file or directory"):
        run_argv(Command(("no-such-program",), str(tmp_path)))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"workdir .*nowhere is not a folder"):
        run_argv(python("pass", tmp_path / "nowhere"))


@pytest.mark.parametrize("argv", [(), ("",)])
def test_an_empty_command_is_refused(argv):
    with pytest.raises(InputError, match="the command must not be empty"):
        Command(argv, ".")


def test_a_command_travels(tmp_path):
    command = python("pass", tmp_path, A="b")
    assert loads(dumps(command)) == command
