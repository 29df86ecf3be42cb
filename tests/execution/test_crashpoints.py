"""Crash points kill at the pass that was asked for, in test settings alone."""

import os
import signal
import subprocess
import sys

import pytest

from dnaml.core.errors import InputError
from dnaml.execution import crashpoints
from dnaml.execution.crashpoints import CrashPoint, reach

PASSES = """
from dnaml.execution.crashpoints import CrashPoint, reach
for number in range(1, 5):
    print(number, flush=True)
    reach(CrashPoint.RESULT_SENT)
    reach(CrashPoint.RESULT_MADE)
"""


def passes(**environment: str) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, **environment}
    return subprocess.run([sys.executable, "-c", PASSES], env=settings, capture_output=True, text=True, check=False)


def test_the_process_dies_at_the_pass_that_was_asked_for() -> None:
    ended = passes(DNAML_TEST="1", DNAML_CRASH_AT="result_made:3")
    assert (ended.returncode, ended.stdout.split()) == (-signal.SIGKILL, ["1", "2", "3"])


def test_without_a_number_the_first_pass_is_meant() -> None:
    ended = passes(DNAML_TEST="1", DNAML_CRASH_AT="result_made")
    assert (ended.returncode, ended.stdout.split()) == (-signal.SIGKILL, ["1"])


def test_outside_tests_the_variable_is_not_honoured() -> None:
    assert passes(DNAML_CRASH_AT="result_made:1", DNAML_TEST="").returncode == 0


@pytest.mark.parametrize("wanted", ["nowhere:1", "result_made:0", "result_made:x", "result_made:-1"])
def test_a_wrong_point_or_number_is_refused_with_the_known_points(wanted: str) -> None:
    with pytest.raises(InputError, match=f"result_made.*got '{wanted}'"):
        crashpoints._armed({"DNAML_TEST": "1", "DNAML_CRASH_AT": wanted})


def test_a_process_that_is_not_armed_passes_every_point() -> None:
    for point in CrashPoint:
        reach(point)
    assert crashpoints._ARMED is None


def test_only_passes_of_the_armed_point_count() -> None:
    armed = crashpoints._armed({"DNAML_TEST": "1", "DNAML_CRASH_AT": "result_made:3"})
    assert armed is not None
    armed.passed(CrashPoint.RESULT_SENT)
    armed.passed(CrashPoint.RESULT_MADE)
    assert (armed.point, armed.left) == (CrashPoint.RESULT_MADE, 2)
    assert crashpoints._armed({"DNAML_CRASH_AT": "result_made"}) is None
