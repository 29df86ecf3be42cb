"""Prints R1 to R4 and the faults of Ray nodes (A6, A7, A8) in the one form."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.faults import a06_raylet_killed, a07_raylet_frozen, a08_control_store_killed
from benchmarks.faults.__main__ import rows_of
from benchmarks.faults.outcome import Tier
from benchmarks.ray import coldstart, crowd, rate, unlike
from benchmarks.report import Measure, Row, main

FAULTS = (a06_raylet_killed, a07_raylet_frozen, a08_control_store_killed)


def fault_rows(quick: bool) -> list[Row]:
    """Return what killed and frozen raylets, and a killed control store, cost."""
    found: list[Row] = []
    for fault in FAULTS:
        with tempfile.TemporaryDirectory(prefix="dnaml-fault-") as folder:
            found += rows_of(fault.measure(fault.RUNS[Tier.QUICK if quick else Tier.SOAK], 0, Path(folder)))
    return found


PARTS: dict[str, Measure] = {
    "R3": crowd.rows,  # first, while this process is small
    "R1": rate.rows,
    "R2": unlike.rows,
    "R4": coldstart.rows,
    "faults": fault_rows,
}


def run(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    return main("ray", PARTS, arguments)


if __name__ == "__main__":
    sys.exit(run())
