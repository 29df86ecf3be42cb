"""`dnaml journal backup` and `restore`: a verified copy, put back over a state that is damaged or in the way."""

import json
import sys

import pytest

import dnaml
from dnaml.cli.main import main


def speak(text):
    sys.stdout.write(text)
    return text


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    folder = tmp_path_factory.mktemp("state")
    with dnaml.Executor([dnaml.Resource(id="here")], state=folder, cores=1) as executor:
        executor.options(name="speech").submit(speak, "hello").result()
    return folder


def ask(capsys, *words):
    code = main(["journal", *words, "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else err


def test_a_backup_holds_every_event_and_is_put_back(state, tmp_path, capsys):
    code, copied = ask(capsys, "backup", str(tmp_path / "copy"), "--state", str(state))
    assert code == 0
    assert copied["events"] > 2
    code, restored = ask(capsys, "restore", str(tmp_path / "copy"), "--state", str(tmp_path / "new"))
    assert (code, restored["events"]) == (0, copied["events"])
    assert main(["status", "--state", str(tmp_path / "new")]) == 0
    assert "speech" in capsys.readouterr().out


def test_a_state_that_is_there_is_only_put_aside_when_that_is_said(state, tmp_path, capsys):
    assert ask(capsys, "backup", str(tmp_path / "copy"), "--state", str(state))[0] == 0
    assert ask(capsys, "restore", str(tmp_path / "copy"), "--state", str(tmp_path / "new"))[0] == 0
    code, told = ask(capsys, "restore", str(tmp_path / "copy"), "--state", str(tmp_path / "new"))
    assert code in (1, 2)
    assert "--force" in told or "force" in told
    assert ask(capsys, "restore", str(tmp_path / "copy"), "--state", str(tmp_path / "new"), "--force")[0] == 0


def test_a_backup_goes_into_an_empty_folder_only(state, capsys):
    code, told = ask(capsys, "backup", str(state), "--state", str(state))
    assert code in (1, 2)
    assert str(state) in told
