"""What a failed job raises at its client: its own type where that is known to all, else what is told of it."""

import pickle
from pathlib import Path

import pytest

from dnaml.core.errors import ComputationFailed, InputError, NotFoundError
from dnaml.remote.job import RemoteError, failure_of
from dnaml.rest.results import raised_by


def failed(error: str = "", raised: dict | None = None, traceback: str | None = "Traceback ...") -> dict:
    return {"id": "j", "state": "FAILED", "error": error, "raised": raised, "traceback": traceback}


def told_of(error: BaseException) -> BaseException | None:
    """Give what a client raises for an exception that a worker pickled."""
    found = raised_by(pickle.dumps(error))
    assert found is not None
    return failure_of(failed(f"{type(error).__name__}: {error}", {"type": found.type, "args": found.args}))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a\nb"),
        KeyError("x"),
        ZeroDivisionError(),
        ValueError(1 << 80),
        InputError("no"),
        NotFoundError("no"),
        OSError("x"),
    ],
)
def test_an_exception_of_python_or_dnaml_is_itself_with_the_traceback_as_cause(error):
    found = told_of(error)
    assert (type(found), found.args) == (type(error), error.args)
    assert "Traceback ..." in str(found.__cause__)


def test_the_kind_of_a_system_error_comes_along():
    found = told_of(FileNotFoundError(2, "no such file"))
    assert isinstance(found, FileNotFoundError)
    assert found.errno == 2


@pytest.mark.parametrize(
    "error",
    [pickle.PicklingError("x"), KeyError(("a", 1)), ValueError("\ud800"), StopIteration(1)],
)
def test_another_exception_is_told_by_type_message_and_traceback(error):
    found = told_of(error)
    assert isinstance(found, RemoteError)
    assert found.type_name == f"{type(error).__module__}.{type(error).__name__}"
    assert (found.message, found.traceback) == (str(error), "Traceback ...")


def test_a_type_made_with_other_arguments_than_it_keeps_is_told_by_name():
    assert isinstance(failure_of(failed("X: y", {"type": "builtins.UnicodeDecodeError", "args": ["y"]})), RemoteError)


def test_an_exception_whose_class_travelled_by_value_is_told_by_name():
    found = failure_of(failed("Mine: y"))
    assert isinstance(found, RemoteError)
    assert (found.type_name, found.message) == ("Mine", "y")


def test_a_job_that_raised_nothing_has_failed_without_a_type():
    assert type(failure_of(failed("exit code 3", traceback=None))) is ComputationFailed


def test_nothing_is_imported_or_run_because_a_pickle_names_it(tmp_path: Path):
    class Runs:
        def __reduce__(self):
            return Path.touch, (tmp_path / "canary",)

    assert raised_by(pickle.dumps(Runs())) is not None
    assert not (tmp_path / "canary").exists()
    assert raised_by(b"") is None
    assert raised_by(b"\x80\x04.") is None
    assert raised_by(pickle.dumps(3)) is None


@pytest.mark.parametrize("name", ["os.system", "subprocess.CalledProcessError", "builtins.eval", "builtins.SystemExit"])
def test_a_name_outside_of_the_table_is_only_a_name(name):
    assert isinstance(failure_of(failed("X: y", {"type": name, "args": ["y"]})), RemoteError)
