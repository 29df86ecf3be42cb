"""Every verb has the standard options and an example, and the table of verbs says what the verbs themselves say."""

from pathlib import Path

import pytest

from dnaml.cli import verbs
from dnaml.cli.main import VERBS, load_verb


def leaves():
    """Give every command that can be typed, families opened."""
    for name in VERBS:
        command = load_verb(name)
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            yield from ((f"{name} {key}", one) for key, one in inner.items())


LEAVES = dict(leaves())


@pytest.mark.parametrize("name", LEAVES)
def test_a_verb_takes_the_standard_options_and_shows_an_example(name):
    options = {option for parameter in LEAVES[name].params for option in parameter.opts}
    assert {"--json", "--quiet", "--state"} <= options
    assert LEAVES[name].epilog.startswith(f"Example: dnaml {name}")
    assert LEAVES[name].help


@pytest.mark.parametrize("name", VERBS)
def test_the_overview_says_what_the_verb_is_for(name):
    line = VERBS[name][1]
    assert line.endswith(".")
    assert len(line) <= 100
    assert load_verb(name).name == name


def test_the_verbs_of_the_first_part_are_all_there():
    asked = "check probe resources prices fingerprint predict match submit status queue logs cancel explain repeat"
    assert set(asked.split()) | {"telemetry", "demo", "journal", "train", "evaluate"} <= set(VERBS)
    assert {"resources ls", "resources add", "resources rm", "telemetry export", "journal verify"} <= set(LEAVES)
    assert {"prices ls", "prices find", "prices import"} <= set(LEAVES)


def test_the_state_folder_is_the_one_given_else_that_of_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("DNAML_STATE", str(tmp_path / "by-environment"))
    assert verbs.state_folder(tmp_path / "given") == tmp_path / "given"
    assert verbs.state_folder(None) == tmp_path / "by-environment"
    monkeypatch.delenv("DNAML_STATE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert verbs.state_folder(None) == tmp_path / ".local" / "state" / "dnaml"
    assert verbs.state_folder(Path("relative")).is_absolute()
