"""A recorded environment is rebuilt with the recorded versions, or the error names what is missing."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from dnaml.core.errors import InputError
from dnaml.execution.environment import Environment, current_environment
from dnaml.execution.environment_build import _interpreter, recreate


@pytest.fixture
def recorded() -> Environment:
    now = current_environment()
    return dataclasses.replace(now, packages={"iniconfig": now.packages["iniconfig"], "mine": "local:1.0", "pip": "1"})


@pytest.mark.slow
def test_a_rebuilt_environment_has_the_recorded_packages_and_is_built_once(
    recorded: Environment, tmp_path: Path
) -> None:
    said: list[str] = []
    made = recreate(recorded, tmp_path / "env", say=said.append)
    program = "import iniconfig, sys; from importlib.metadata import version; print(version('iniconfig'), sys.prefix)"
    told = subprocess.run([made.python, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert told == [recorded.packages["iniconfig"], str(tmp_path / "env")]
    assert made.local == ("mine 1.0",)
    assert len(said) == 2
    assert recreate(recorded, tmp_path / "env", say=said.append) == made
    assert len(said) == 2


@pytest.mark.slow
def test_a_version_that_no_index_has_is_named_and_nothing_is_left(recorded: Environment, tmp_path: Path) -> None:
    impossible = dataclasses.replace(recorded, packages={"iniconfig": "0.0.99"})
    with pytest.raises(InputError, match=r"iniconfig==0\.0\.99 cannot be had"):
        recreate(impossible, tmp_path / "env")
    assert not (tmp_path / "env").exists()


def test_another_python_than_the_recorded_one_is_refused(recorded: Environment, tmp_path: Path) -> None:
    older = dataclasses.replace(recorded, python="3.8.1")
    with pytest.raises(InputError, match=r"Python 3\.8\.1 is needed"):
        recreate(older, tmp_path / "env", python=sys.executable)
    with pytest.raises(InputError, match=r"no python2\.99 on the path"):
        _interpreter("2.99.0")


def test_a_folder_with_something_in_it_is_left_alone(recorded: Environment, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(InputError, match="must be empty or absent"):
        recreate(recorded, tmp_path)
    assert (tmp_path / "mine").read_text() == "precious"


def test_an_interpreter_that_does_not_run_is_named(recorded: Environment, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="/bin/false does not run"):
        recreate(recorded, tmp_path / "env", python="/bin/false")
    with pytest.raises(InputError, match="No such file"):
        recreate(recorded, tmp_path / "env", python=str(tmp_path / "python"))
