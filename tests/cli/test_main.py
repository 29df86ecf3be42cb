"""From an error to an exit code and one line; nothing here starts an engine."""

import json
import subprocess
import sys

import pytest

from dnaml.cli import main as cli
from dnaml.cli.main import ExitCode, main
from dnaml.core import errors


@pytest.fixture(autouse=True)
def _state(tmp_path, monkeypatch):
    monkeypatch.setenv("DNAML_STATE", str(tmp_path / "state"))


def test_no_arguments_give_the_help(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "Usage: dnaml" in out
    assert all(name in out for name in cli.VERBS)


def test_the_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("dnaml 0.")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["pices"], "dnaml: No such command 'pices'. Did you mean 'prices'?; see dnaml --help\n"),
        (["prices", "find", "--foo"], "dnaml: No such option: --foo; see dnaml prices find --help\n"),
        (["explain"], "dnaml: Missing argument 'ID'; see dnaml explain --help\n"),
        (["prices", "find", "--limit", "0"], "--limit"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, says, capsys):
    assert main(arguments) == ExitCode.BAD_INPUT
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InputError("a\nb"), 2),
        (errors.UnpicklableError("x"), 2),
        (errors.StateInUseError("x"), 2),
        (errors.NotFoundError("x"), 2),
        (errors.MissingExtra("x"), 2),
        (errors.CorruptError("x"), 1),
        (errors.ComputationFailed("x"), 1),
        (ConnectionRefusedError("x"), 3),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 0),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error, code, monkeypatch, capsys):
    def fail(**_):
        raise error

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr(cli, "_forget_stdout", lambda: None)
    assert main(["status"]) == code
    assert capsys.readouterr().err.count("\n") <= 1


def test_the_state_folder_may_stand_before_or_after_the_verb(tmp_path, capsys):
    for arguments in (["--state", str(tmp_path), "status"], ["status", "--state", str(tmp_path)]):
        assert main(arguments) == 0
        assert str(tmp_path) in capsys.readouterr().out


def test_a_family_by_its_own_name_lists_what_there_is(capsys):
    assert main(["resources", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["prices"]) == 0
    assert "aws" in capsys.readouterr().out
    assert main(["prices", "--help"]) == 0
    assert "import" in capsys.readouterr().out


def test_a_reader_that_leaves_early_is_no_error():
    script = f"{sys.executable} -m dnaml prices find --limit 100 | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n0\n")
    assert done.stderr == ""


def test_asking_for_a_verb_imports_that_verb_alone(tmp_path):
    code = (
        "import sys, json; from dnaml.cli.main import main; "
        f"main(['status', '--state', {str(tmp_path)!r}, '--json']); "
        "print(json.dumps([m for m in sys.modules if m.startswith('dnaml.cli.')]), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(json.loads(done.stderr))
    assert "dnaml.cli.status" in imported
    assert not imported & {"dnaml.cli.prices", "dnaml.cli.submit", "dnaml.cli.demo"}
