"""Starting is cheap: what `import dnaml` and `dnaml --help` cost in CPU time, and what they must not import."""

import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from tests.speed import least, slowness

COMMAND = Path(sys.executable).parent / "dnaml"
STARTS = {
    "import dnaml": ([sys.executable, "-c", "import dnaml"], 0.25),
    "dnaml --help": ([sys.executable, str(COMMAND), "--help"], 0.5),
}
HEAVY = {"torch", "sklearn", "pandas", "mlflow", "ray"}
# As on any machine, bytecode is kept; and a coverage run must not measure itself.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith(("COV_", "COVERAGE_"))
}


def cpu_s(argv: list[str]) -> float:
    """Return user and system time of one run in a process of its own."""
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    pid = os.posix_spawn(argv[0], argv, ENVIRONMENT, file_actions=quiet)
    _, status, usage = os.wait4(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return usage.ru_utime + usage.ru_stime


@pytest.mark.serial
@pytest.mark.parametrize(("argv", "limit_s"), STARTS.values(), ids=STARTS)
def test_starting_takes_little_cpu_time(argv, limit_s):
    cpu_s(argv)  # writes the bytecode
    limit_s *= slowness()
    assert least(lambda: statistics.median(cpu_s(argv) for _ in range(5)), limit_s, most=4) <= limit_s


@pytest.mark.parametrize("argv", [argv for argv, _ in STARTS.values()], ids=STARTS)
def test_starting_imports_no_heavy_package(argv):
    traced = [argv[0], "-X", "importtime", *argv[1:]]
    done = subprocess.run(traced, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    imported = {line.rsplit("|", 1)[1].strip().partition(".")[0] for line in lines}
    assert "dnaml" in imported
    assert not imported & HEAVY
