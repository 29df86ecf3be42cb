"""Scheduling of whole workloads and the solvers below it, every row beside its peers in the same run.

S0 the simulator, S1 elastic jobs, S2-S4b a batch of gangs, S5 arrivals with deadlines, frontier their cost against
time, pairs the same where two jobs may share units, S6 packing, S7 rounds, S8 assignments, S9 single decisions, S10 all
under prediction error, S13 the formulas.
`python -m benchmarks.scheduling [--quick] [--json] [--only S2,S10] [--plot FOLDER]`.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.report import Row, document, only_the_answer, table
from benchmarks.scheduling import folder
from benchmarks.scheduling.arrivals import arrival_rows
from benchmarks.scheduling.batch import batch_rows
from benchmarks.scheduling.elastic import elastic_rows
from benchmarks.scheduling.errors import error_rows
from benchmarks.scheduling.events import event_rows
from benchmarks.scheduling.formulas import formula_rows
from benchmarks.scheduling.frontier import frontier_rows
from benchmarks.scheduling.packing import packing_rows
from benchmarks.scheduling.pairs import pair_rows
from benchmarks.scheduling.solvers import assignment_rows, round_rows, single_rows

FRONTIER = "frontier"
PARTS: Mapping[str, Callable[[bool], list[Row]]] = {
    "S0": event_rows,
    "S1": elastic_rows,
    "S2": batch_rows,
    "S5": arrival_rows,
    FRONTIER: frontier_rows,
    "pairs": pair_rows,
    "S6": packing_rows,
    "S7": round_rows,
    "S8": assignment_rows,
    "S9": single_rows,
    "S10": error_rows,
    "S13": formula_rows,
}
NEED_TRACES = {"S1", "S2", "S5", "S10", FRONTIER, "pairs"}


def measure(quick: bool, only: Sequence[str] = (), plots: Path | None = None) -> list[Row]:
    """Return the rows of the parts asked for, all without a wish; parts whose traces are not there say so."""
    rows: list[Row] = []
    for name in only or PARTS:
        if name in NEED_TRACES and not folder().is_dir():
            note = f"there are no traces in {folder().name}: set DNAML_DATA"
            rows.append(Row(id=name, metric="public traces", value=None, unit="", note=note))
        else:
            rows += frontier_rows(quick, plots) if name == FRONTIER else PARTS[name](quick)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; exit code 0 once everything was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scheduling")
    parser.add_argument("--quick", action="store_true", help="every row on less data, in at most 10 minutes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--only", default="", metavar="ROWS", help=f"of {', '.join(PARTS)}, with commas between")
    parser.add_argument("--plot", type=Path, default=None, help="folder for the picture of the frontier")
    options = parser.parse_args(arguments)
    only = [name for name in options.only.split(",") if name]
    unknown = sorted(set(only) - PARTS.keys())
    if unknown:
        parser.error(f"--only must name rows of {', '.join(PARTS)}, got {unknown[0]!r}")
    with only_the_answer():
        rows = measure(options.quick, only, options.plot)
    if options.json:
        print(json.dumps(document("scheduling", rows, seeds=(0,), quick=options.quick), indent=1, allow_nan=False))
    else:
        print(table("scheduling", rows, quick=options.quick))
    return 0


if __name__ == "__main__":
    sys.exit(main())
