"""A10: every named crash point is reached and survived; the sweep of all passes is the benchmark's."""

from pathlib import Path

import pytest

from benchmarks.faults.a10_crash_points import crashed_at
from benchmarks.faults.history import counted
from dnaml.execution.crashpoints import CrashPoint

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("point", CrashPoint, ids=lambda point: point.value)
def test_a_crash_at_any_named_step_loses_and_doubles_nothing(tmp_path: Path, point: CrashPoint) -> None:
    assert crashed_at(tmp_path, point, 2 if point is CrashPoint.EVENT_APPENDED else 1)
    found = counted(tmp_path)

    assert (found.lost, found.doubled) == (0, 0)
