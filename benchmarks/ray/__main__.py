"""Prints R1 to R4 and the faults of Ray nodes (A6, A7, A8) in the one form."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.faults import a06_raylet_killed, a07_raylet_frozen, a08_control_store_killed
from benchmarks.faults.__main__ import rows_of
from benchmarks.faults.outcome import Tier
from benchmarks.ray import coldstart, crowd, rate, unlike
from benchmarks.report import Row, main

FAULTS = (a06_raylet_killed, a07_raylet_frozen, a08_control_store_killed)


def measure(quick: bool) -> list[Row]:
    """Return every row; the simulated crowd comes first, while this process is small."""
    return [*crowd.rows(quick), *rate.rows(quick), *unlike.rows(quick), *coldstart.rows(quick), *fault_rows(quick)]


def fault_rows(quick: bool) -> list[Row]:
    """Return what killed and frozen raylets, and a killed control store, cost."""
    found: list[Row] = []
    for fault in FAULTS:
        with tempfile.TemporaryDirectory(prefix="dnaml-fault-") as folder:
            found += rows_of(fault.measure(fault.RUNS[Tier.QUICK if quick else Tier.SOAK], 0, Path(folder)))
    return found


def run(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    return main("ray", measure, arguments)


if __name__ == "__main__":
    sys.exit(run())
